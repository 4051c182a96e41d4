// repository_fuzz.cpp -- any bytes as what the hub says of a model: no name that is read may lead out of a snapshot, and
// whatever files there are, a choice of them is some of them or a refusal.
#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "fuzz.h"
#include "hub/names.h"
#include "hub/repository.h"
#include "hub/selection.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace glossa;
  const auto repository = read_or_refused([&] { return parse_repository(fuzz_text(data, size), "hub"); });
  if (!repository) return 0;
  require(is_commit(repository->commit));
  std::vector<std::string> names;
  for (const RemoteFile& file : repository->files) {
    const fs::path path = (fs::path("/snapshot") / file.name).lexically_normal();
    require(path.native().starts_with("/snapshot/") && path.native().size() > 10);
    require(file.name.find('\0') == std::string::npos && (file.digest.empty() || is_digest(file.digest)));
    names.push_back(file.name);
  }
  for (const char* quant : {"", "Q8_0"}) try {
      for (const std::string& name : selected_files(names, {.quant = quant}, "model"))
        require(std::binary_search(names.begin(), names.end(), name));
    } catch (const Error& error) {
      require(error.code() == Code::bad_value);
    }
  return 0;
}
