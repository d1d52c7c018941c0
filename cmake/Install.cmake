# `cmake --install`, and the two Debian packages that `cpack` makes of it: keepwell, and keepwell-app for demonstrations.
# Only the package puts a configuration into /etc; an installation by hand leaves the example with the documents.
set(KEEPWELL_SYSTEMD_DIR lib/systemd/system CACHE PATH "where systemd looks for units, below the prefix")
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME keepwell)

# `keepwell` is what people start; it finds `keepwelld` beside it, in ../libexec/keepwell.
install(TARGETS keepwell RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS keepwelld RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/keepwell)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)
install(FILES deploy/keepwell.service DESTINATION ${KEEPWELL_SYSTEMD_DIR})
install(FILES deploy/keepwell.yaml DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(FILES README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} PATTERN "decisions" EXCLUDE)
install(DIRECTORY dashboards DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/keepwell FILES_MATCHING PATTERN "*.json" PATTERN "*.yml")
if(KEEPWELL_APP)
    install(TARGETS keepwell-app RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT keepwell-app)
    install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/keepwell-app RENAME copyright COMPONENT keepwell-app)
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_CONTACT "the keepwell project <https://github.com/keepwell/keepwell>")
set(CPACK_COMPONENTS_ALL keepwell)
if(KEEPWELL_APP)
    list(APPEND CPACK_COMPONENTS_ALL keepwell-app)
endif()
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_KEEPWELL_PACKAGE_NAME keepwell)
set(CPACK_DEBIAN_KEEPWELL_PACKAGE_SECTION net)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")  # each package has a first line of its own
set(CPACK_DEBIAN_KEEPWELL_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_KEEPWELL_DESCRIPTION
    "watches services, tells how they are, and restarts what needs it
One small process asks HTTP, Redis, PostgreSQL, MySQL, TCP, DNS, programs and heartbeats how they are, tells Prometheus,
and restarts what needs it without making an outage worse.")
set(CPACK_DEBIAN_KEEPWELL-APP_PACKAGE_NAME keepwell-app)
set(CPACK_DEBIAN_KEEPWELL-APP_PACKAGE_SECTION misc)
set(CPACK_DEBIAN_KEEPWELL-APP_DESCRIPTION
    "a small web stack for keepwell to watch
The api, the web front and the worker of demonstrations: one program that can be told to fail.")
set(CPACK_DEBIAN_KEEPWELL_PACKAGE_CONTROL_EXTRA
    ${PROJECT_SOURCE_DIR}/deploy/debian/conffiles
    ${PROJECT_SOURCE_DIR}/deploy/debian/postinst
    ${PROJECT_SOURCE_DIR}/deploy/debian/prerm
    ${PROJECT_SOURCE_DIR}/deploy/debian/postrm
)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/PackageEtc.cmake)
include(CPack)
