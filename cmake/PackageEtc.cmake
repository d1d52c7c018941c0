# Run by cpack between staging and packing: /etc is outside of the prefix, where `install` cannot put it.
set(staged ${CPACK_TEMPORARY_DIRECTORY}/keepwell)
file(MAKE_DIRECTORY ${staged}/etc/keepwell)
file(COPY_FILE ${staged}/usr/share/doc/keepwell/examples/keepwell.yaml ${staged}/etc/keepwell/keepwell.yaml)
