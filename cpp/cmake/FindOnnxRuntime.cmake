# Finds ONNX Runtime: OnnxRuntime::OnnxRuntime.
#
# ONNXRUNTIME_ROOT       a release as unpacked from its archive (include/, lib/)
# ONNXRUNTIME_INCLUDE_DIR, ONNXRUNTIME_LIBRARY   each by itself
# Else the system's; else the library of the Python wheel of Python3_EXECUTABLE, which lacks the
# names that it is linked as: links to it are made in the build folder.

find_path(ONNXRUNTIME_INCLUDE_DIR onnxruntime_cxx_api.h
          HINTS "${ONNXRUNTIME_ROOT}" ENV ONNXRUNTIME_ROOT
          PATH_SUFFIXES include include/onnxruntime include/onnxruntime/core/session)
find_library(ONNXRUNTIME_LIBRARY onnxruntime
             HINTS "${ONNXRUNTIME_ROOT}" ENV ONNXRUNTIME_ROOT PATH_SUFFIXES lib lib64)

if(NOT ONNXRUNTIME_LIBRARY)
  find_package(Python3 COMPONENTS Interpreter QUIET)
  if(Python3_Interpreter_FOUND)
    execute_process(
      COMMAND "${Python3_EXECUTABLE}" -c
              "import importlib.util as i; print(*(i.find_spec('onnxruntime').submodule_search_locations))"
      OUTPUT_VARIABLE onnxruntime_wheel OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    file(GLOB onnxruntime_found "${onnxruntime_wheel}/capi/libonnxruntime.so.[0-9]*")
  endif()
  if(onnxruntime_found)
    list(GET onnxruntime_found 0 onnxruntime_found)
    set(onnxruntime_links "${CMAKE_BINARY_DIR}/onnxruntime")
    file(MAKE_DIRECTORY "${onnxruntime_links}")
    # the first is what programs are linked with, the second what they then look for
    foreach(name libonnxruntime.so libonnxruntime.so.1)
      file(CREATE_LINK "${onnxruntime_found}" "${onnxruntime_links}/${name}" SYMBOLIC)
    endforeach()
    set(ONNXRUNTIME_LIBRARY "${onnxruntime_links}/libonnxruntime.so" CACHE FILEPATH "" FORCE)
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  OnnxRuntime
  REQUIRED_VARS ONNXRUNTIME_LIBRARY ONNXRUNTIME_INCLUDE_DIR
  REASON_FAILURE_MESSAGE
    "-DONNXRUNTIME_ROOT=DIR says where it is. The library comes with pip install onnxruntime, too (-DPython3_EXECUTABLE=PYTHON), headers with Debian's libonnxruntime-dev.")

if(OnnxRuntime_FOUND)
  # a library serves programs made with headers of its own version or older
  get_filename_component(onnxruntime_file "${ONNXRUNTIME_LIBRARY}" REALPATH)
  string(REGEX MATCH "[0-9]+\\.([0-9]+)\\.[0-9]+$" onnxruntime_version "${onnxruntime_file}")
  set(onnxruntime_minor "${CMAKE_MATCH_1}")
  file(STRINGS "${ONNXRUNTIME_INCLUDE_DIR}/onnxruntime_c_api.h" onnxruntime_line
       REGEX "#define ORT_API_VERSION [0-9]+")
  string(REGEX REPLACE ".* ([0-9]+).*" "\\1" onnxruntime_headers "${onnxruntime_line}")
  if(onnxruntime_version AND onnxruntime_headers GREATER onnxruntime_minor)
    message(FATAL_ERROR "the headers of ONNX Runtime in ${ONNXRUNTIME_INCLUDE_DIR} are those of "
                        "1.${onnxruntime_headers}, newer than the library ${onnxruntime_file}; "
                        "give headers of ${onnxruntime_version} or older")
  endif()
  if(NOT TARGET OnnxRuntime::OnnxRuntime)
    add_library(OnnxRuntime::OnnxRuntime UNKNOWN IMPORTED)
    set_target_properties(OnnxRuntime::OnnxRuntime PROPERTIES
      IMPORTED_LOCATION "${ONNXRUNTIME_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${ONNXRUNTIME_INCLUDE_DIR}")
  endif()
endif()
