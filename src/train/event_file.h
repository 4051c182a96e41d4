// event_file.h -- scalars over steps as TensorBoard reads them: records of TensorFlow's event format
// (tensorflow/core/util/event.proto within TFRecord frames), written as they come.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"

namespace glossa {

class EventFile {
 public:
  // A new file in `directory`. What other files there hold of steps from `first_step` on is declared void: a resumed run
  // tells them again.
  EventFile(const fs::path& directory, std::int64_t first_step);
  void add(std::int64_t step, const std::vector<std::pair<std::string, double>>& scalars);
  const fs::path& path() const { return file_.path(); }

 private:
  void write(std::string_view event);
  FileHandle file_;
};

// CRC-32C (Castagnoli), as TFRecord frames carry it, and masked as they do.
std::uint32_t crc32c(std::string_view bytes);
std::uint32_t masked_crc32c(std::string_view bytes);

}  // namespace glossa
