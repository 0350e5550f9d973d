#pragma once
// An environment whose type is not known: what trains, evaluates and counts is compiled once for all of them.

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "qatten/environments/environment.hpp"

namespace qatten::inline QATTEN_ABI {

/// An environment that can say what it is (map, version, seed of a server, …): stored with every run.
template <class E>
concept DescribesItself = Environment<E> && requires(const E& constant) {
  { constant.description() } -> std::convertible_to<std::string>;
};

/// Owns an environment of any type, which may be neither copied nor moved. `metrics()` is empty for those that do not
/// count, `description()` for those that do not describe themselves.
class AnyEnvironment {
 public:
  template <Environment E>
  explicit AnyEnvironment(std::unique_ptr<E> environment) : self_(std::make_unique<Of<E>>(std::move(environment))) {}

  EnvironmentInfo info() const { return self_->info(); }
  void reset(const Random& stream) { self_->reset(stream); }
  void observe(const Observation& o) const { self_->observe(o); }
  StepResult step(std::span<const int> actions) { return self_->step(actions); }
  std::span<const Metric> metrics() const { return self_->metrics(); }
  std::string description() const { return self_->description(); }

 private:
  struct Interface {
    virtual ~Interface() = default;
    virtual EnvironmentInfo info() const = 0;
    virtual void reset(const Random&) = 0;
    virtual void observe(const Observation&) const = 0;
    virtual StepResult step(std::span<const int>) = 0;
    virtual std::span<const Metric> metrics() const = 0;
    virtual std::string description() const = 0;
  };

  template <Environment E>
  struct Of final : Interface {
    explicit Of(std::unique_ptr<E> given) : environment(std::move(given)) {}
    EnvironmentInfo info() const override { return std::as_const(*environment).info(); }
    void reset(const Random& stream) override { environment->reset(stream); }
    void observe(const Observation& o) const override { std::as_const(*environment).observe(o); }
    StepResult step(std::span<const int> actions) override { return environment->step(actions); }
    std::span<const Metric> metrics() const override {
      if constexpr (ReportsMetrics<E>) return std::as_const(*environment).metrics();
      return {};
    }
    std::string description() const override {
      if constexpr (DescribesItself<E>) return std::as_const(*environment).description();
      return "";
    }

    std::unique_ptr<E> environment;
  };

  std::unique_ptr<Interface> self_;
};
static_assert(ReportsMetrics<AnyEnvironment> && DescribesItself<AnyEnvironment>);

/// An environment of type E from its constructor's arguments.
template <Environment E, class... Arguments>
AnyEnvironment make_environment(Arguments&&... arguments) {
  return AnyEnvironment(std::make_unique<E>(std::forward<Arguments>(arguments)...));
}

/// Makes environment k of those that are played side by side.
using EnvironmentFactory = std::function<AnyEnvironment(Index)>;

}  // namespace qatten::inline QATTEN_ABI
