// text_rows.h -- cases of a task from JSON lines: an object a line, of which some fields are wanted as text,
// and perhaps a label. {"text": "a fine film", "label": 1}
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "data/line_reader.h"

namespace glossa {

struct RowFields {
  std::vector<std::string> names;  // each must be there
  std::string label;
  bool label_required = false;
};

struct TextRow {
  std::vector<std::string> values;  // of the names, in their order
  std::optional<std::string> label;
  std::uint64_t line = 0;
};

// All rows; blank lines are passed over. Numbers and truth values become the text that JSON has for them.
// Error(text_data) with the line for what is no object, a field that is missing or of another type, or a
// label without text; Error(empty) if there are no rows.
std::vector<TextRow> read_text_rows(LineReader reader, const RowFields& fields);

}  // namespace glossa
