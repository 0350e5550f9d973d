#pragma once
// Recordings of battles as files.

#include <filesystem>
#include <span>
#include <string>

#include "qatten/environments/skirmish/replay_html.hpp"
#include "qatten/io/atomic_file.hpp"

namespace qatten::inline QATTEN_ABI {

/// Makes `path` a page that plays the recording in any browser, replacing an older file only when the new one is whole.
/// Throws when the system refuses.
inline void write_html(const skirmish::Recording& recording, const std::filesystem::path& path) {
  const std::string page = skirmish::replay_html(recording);
  const std::span<const std::byte> bytes = std::as_bytes(std::span(page));
  replace_file(path, {&bytes, 1});
}

}  // namespace qatten::inline QATTEN_ABI
