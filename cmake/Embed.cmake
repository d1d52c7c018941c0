# Files built into a program: keepwell_embed(TARGET FILE...) compiles them into TARGET, which then has keepwell::assets()
# (exporters/assets.hpp). Run as a script it writes that source.
if(CMAKE_SCRIPT_MODE_FILE)
    set(source "// Made of the files that it names; see cmake/Embed.cmake.\n#include \"exporters/assets.hpp\"\n\n#include <array>\n\n")
    string(APPEND source "namespace keepwell {\n\nnamespace {\n\nconstexpr std::array files{\n")
    foreach(path IN LISTS FILES)
        get_filename_component(name "${path}" NAME)
        file(READ "${path}" content)
        file(SHA256 "${path}" hash)
        string(SUBSTRING "${hash}" 0 16 tag)
        string(APPEND source "Asset{\"${name}\", R\"embedded(${content})embedded\", \"${tag}\"},\n")
    endforeach()
    string(APPEND source "};\n\n}  // namespace\n\nstd::span<const Asset> assets() { return files; }\n\n}  // namespace keepwell\n")
    file(WRITE "${OUTPUT}" "${source}")
    return()
endif()

set(keepwell_embed_script "${CMAKE_CURRENT_LIST_FILE}")

function(keepwell_embed target)
    list(TRANSFORM ARGN PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/" OUTPUT_VARIABLE files)
    set(output "${CMAKE_CURRENT_BINARY_DIR}/${target}_assets.cpp")
    add_custom_command(OUTPUT "${output}"
        COMMAND "${CMAKE_COMMAND}" "-DFILES=${files}" "-DOUTPUT=${output}" -P "${keepwell_embed_script}"
        DEPENDS ${files} "${keepwell_embed_script}" VERBATIM)
    target_sources(${target} PRIVATE "${output}")
endfunction()
