include(${CMAKE_CURRENT_LIST_DIR}/GlossaDependencies.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/glossaTargets.cmake)
