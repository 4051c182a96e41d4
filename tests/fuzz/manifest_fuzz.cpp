// manifest_fuzz.cpp -- any bytes as the MANIFEST.json of a checkpoint: no name that is read may lead out of
// its folder, and what is written of it reads back the same.
#include "base/error.h"
#include "base/manifest.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace glossa;
  try {
    const Manifest manifest = parse_manifest(fuzz_text(data, size), "manifest");
    for (const Manifest::File& file : manifest.files) {
      const fs::path path = (fs::path("/folder") / file.name).lexically_normal();
      require(path.native().starts_with("/folder/") && path.native().size() > 8);
      require(file.name.find('\0') == std::string::npos && file.sha256.size() == 64);
    }
    const Manifest again = parse_manifest(to_text(manifest), "written");
    require(again.files.size() == manifest.files.size());
    for (std::size_t i = 0; i < again.files.size(); ++i)
      require(again.files[i].name == manifest.files[i].name &&
              again.files[i].size == manifest.files[i].size &&
              again.files[i].sha256 == manifest.files[i].sha256);
  } catch (const Error& error) {
    require(static_cast<int>(error.exit()) == 3 || static_cast<int>(error.exit()) == 5);
  }
  return 0;
}
