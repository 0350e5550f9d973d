include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/qatten")
target_include_directories(qatten INTERFACE "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
install(DIRECTORY include/qatten DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")

install(TARGETS qatten EXPORT qatten)
install(EXPORT qatten NAMESPACE qatten:: FILE qattenTargets.cmake DESTINATION "${package_dir}")
if(TARGET qatten_io)
  install(TARGETS qatten_io EXPORT qatten_io)
  install(EXPORT qatten_io NAMESPACE qatten:: FILE qattenIoTargets.cmake DESTINATION "${package_dir}")
endif()
if(TARGET qatten_remote)
  install(TARGETS qatten_remote EXPORT qatten_remote)
  install(EXPORT qatten_remote NAMESPACE qatten:: FILE qattenRemoteTargets.cmake DESTINATION "${package_dir}")
  install(DIRECTORY python DESTINATION "${CMAKE_INSTALL_DATADIR}/qatten" PATTERN __pycache__ EXCLUDE)
endif()

configure_package_config_file(cmake/qattenConfig.cmake.in "${PROJECT_BINARY_DIR}/qattenConfig.cmake"
                              INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/qattenConfigVersion.cmake" COMPATIBILITY SameMinorVersion
                                 ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/qattenConfig.cmake" "${PROJECT_BINARY_DIR}/qattenConfigVersion.cmake"
              cmake/CheckEigen.cmake DESTINATION "${package_dir}")
