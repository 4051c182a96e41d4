#include "data/text_rows.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "data/json_lines.h"

namespace glossa {
namespace {

bool blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == text.npos;
}

// The fields of an object, for a message.
std::string names_of(const Json& object) {
  constexpr std::size_t kMost = 8;
  std::string names;
  std::size_t count = 0;
  for (const auto& [name, value] : object.items()) {
    if (count++ == kMost) return names + ", ...";
    names += (names.empty() ? "" : ", ") + quoted(name, 40);
  }
  return names.empty() ? "none" : names;
}

std::string text_of(const Json& value, std::string_view name, const std::string& place) {
  check(value.is_string() || value.is_number() || value.is_boolean(), Code::text_data,
        "{}: field {} is a JSON {}; a text, a number or a truth value is wanted", place, quoted(name),
        value.type_name());
  return value.is_string() ? value.get<std::string>() : value.dump();
}

const Json& field(const Json& object, const std::string& name, const std::string& place) {
  const auto found = object.find(name);
  check(found != object.end(), Code::text_data, "{}: has no field {}; its fields are {}", place, quoted(name),
        names_of(object));
  return *found;
}

}  // namespace

std::vector<TextRow> read_text_rows(LineReader reader, const RowFields& fields) {
  std::vector<TextRow> rows;
  LineReader::Line line;
  while (reader.next(line)) {
    if (blank(line.text)) continue;
    const std::string place = fmt::format("{}: line {}", reader.name(), reader.line_number());
    const Json object = parse_object(line.text, place);
    TextRow row{.values = {}, .label = {}, .line = reader.line_number()};
    for (const std::string& name : fields.names)
      row.values.push_back(text_of(field(object, name, place), name, place));
    const auto label = object.find(fields.label);
    if (fields.label_required || (label != object.end() && !label->is_null())) {
      row.label = text_of(field(object, fields.label, place), fields.label, place);
      check(!blank(*row.label), Code::text_data, "{}: field {} is empty", place, quoted(fields.label));
    }
    rows.push_back(std::move(row));
  }
  check(!rows.empty(), Code::empty, "{}: no rows", reader.name());
  return rows;
}

}  // namespace glossa
