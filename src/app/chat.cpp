// chat.cpp -- `glossa chat`: a conversation with a language model.
#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <memory>

#include "app/causal.h"
#include "app/command.h"
#include "app/drafting.h"
#include "app/line_editor.h"
#include "app/sampling_options.h"
#include "app/values.h"
#include "base/error.h"
#include "base/unicode.h"
#include "checkpoint/gguf_chat_template.h"
#include "generate/chat_prompt.h"
#include "generate/text_stream.h"

namespace glossa::app {
namespace {

struct Options {
  ModelOptions files;
  std::string prompt, system, chat_template, chat_template_file, kwargs;
  std::int32_t predict = -1;
  bool parse_special = false, forget = false;
  EngineOptions engine;
  DraftOptions draft;
  SamplingConfig sampling;
};

constexpr std::string_view kHelp =
    "/help            this list\n"
    "/system [TEXT]   begin anew with these instructions (or none)\n"
    "/clear           begin anew\n"
    "/undo            take the last message and its answer back\n"
    "/retry           answer the last message again\n"
    "/file PATH       send a file's text, with what is typed next\n"
    "/save PATH       write the conversation, as glossa template reads it\n"
    "/load PATH       go on with a conversation that was saved\n"
    "/exit            end, as Ctrl-D does\n"
    "\"\"\" begins and ends a message of several lines; \\ at the end of a line goes on with the next one.\n"
    "Ctrl-C stops an answer.\n";

volatile std::sig_atomic_t stopped = 0;  // Ctrl-C, while the model writes
void on_interrupt(int) { stopped = 1; }

// Ctrl-C is an answer's while this lives.
class StopsAnswer {
 public:
  StopsAnswer() {
    stopped = 0;
    struct sigaction action = {};
    action.sa_handler = on_interrupt;
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, &before_);
  }
  ~StopsAnswer() { sigaction(SIGINT, &before_, nullptr); }

 private:
  struct sigaction before_ = {};
};

ChatTemplate template_of(const Options& o, const ModelSource& source) {
  check(o.chat_template.empty() || o.chat_template_file.empty(), Code::usage, "give --chat-template or --chat-template-file, not both");
  if (!o.chat_template.empty()) return ChatTemplate::parse(o.chat_template, "--chat-template");
  if (!o.chat_template_file.empty())
    return ChatTemplate::parse(read_file(o.chat_template_file, TemplateLimits{}.template_bytes), shown(o.chat_template_file));
  const std::optional<ChatTemplate> found = source.gguf ? gguf_chat_template(source.gguf->metadata())
                                                       : load_chat_template(source.directory());
  check(found.has_value(), Code::chat_template, "{}: the model has no chat template: it was not made for conversations. Give one with "
        "--chat-template-file, or use glossa generate", shown(source.path));
  return *found;
}

class Chat {
 public:
  Chat(const Options& o, const ModelSource& source)
      : options_(o),
        template_(template_of(o, source)),
        loaded_(load_causal_model(source)),
        breaks_(sequence_breaks(loaded_.tokenizer, o.sampling)),
        drafter_(make_drafter(o.draft, loaded_.tokenizer, 1)),
        engine_(*loaded_.model, breaks_, with_drafter(o.engine, drafter_.get())) {
    chat_options_.add_generation_prompt = true;
    if (!o.kwargs.empty()) chat_options_.chat_template_kwargs = parse_ordered_json(o.kwargs, "--chat-template-kwargs");
    for (const std::string& line : loaded_.notes) note(line);
    begin_anew(o.system);
  }

  void begin_anew(const std::string& system) {
    messages_ = OrderedJson::array();
    if (!system.empty()) messages_.push_back({{"role", "system"}, {"content", system}});
  }

  // Adds the message, and writes the model's answer as it comes.
  void answer(std::string message) {
    messages_.push_back({{"role", "user"}, {"content", std::move(message)}});
    try {
      answer_last();
    } catch (const Error&) {
      drop_last();  // as if it had not been said
      throw;
    }
  }
  void answer_again() {
    check(answered(), Code::usage, "there is nothing to answer again");
    const OrderedJson before = messages_.back();
    drop_last();
    try {
      answer_last();
    } catch (const Error&) {
      messages_.push_back(before);
      throw;
    }
  }
  void undo() {
    check(answered(), Code::usage, "there is nothing to take back");
    drop_last(), drop_last();
  }
  void save(const std::string& path) const { write_file(path, messages_.dump() + "\n"); }
  void load(const std::string& path) {
    const OrderedJson found = parse_ordered_json(read_text(path), path);
    const auto is_message = [](const OrderedJson& m) {
      return m.is_object() && m.contains("role") && m["role"].is_string() && m.contains("content") && m["content"].is_string();
    };
    check(found.is_array() && std::all_of(found.begin(), found.end(), is_message), Code::text_data,
          "{}: a list of messages with role and content is wanted", shown(path));
    messages_ = found;
  }

  // What was read and written so far, for a last line.
  std::string speed() const {
    return fmt::format("{} tokens read{}, {} written{}{}", engine_.counts().prompt,
                       engine_.counts().shared ? fmt::format(" ({} more were known)", engine_.counts().shared) : "", written_,
                       written_ > answers_ ? fmt::format(": {:.1f} tokens/s read, {:.1f} tokens/s written",
                                                         static_cast<double>(engine_.counts().prompt) / reading_,
                                                         static_cast<double>(written_ - answers_) / writing_)
                                           : "",
                       guesses_said(engine_.counts()));
  }

 private:
  using Clock = std::chrono::steady_clock;

  bool answered() const {
    const std::size_t n = messages_.size();
    return n >= 2 && messages_[n - 1]["role"] == "assistant" && messages_[n - 2]["role"] == "user";
  }
  void drop_last() { messages_.erase(messages_.size() - 1); }

  // Forgets the oldest exchange; false if there is none but the last.
  bool forget() {
    const std::size_t first = messages_[0]["role"] == "system" ? 1 : 0;
    if (messages_.size() < first + 3) return false;
    messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(first), messages_.begin() + static_cast<std::ptrdiff_t>(first) + 2);
    return true;
  }

  std::vector<Token> prompt() {
    for (;;) {
      std::vector<Token> tokens = chat_prompt(loaded_.tokenizer, template_, messages_, chat_options_, options_.parse_special);
      const auto count = static_cast<std::int64_t>(tokens.size());
      if (count + 1 < engine_.context()) return tokens;
      check(options_.forget && forget(), Code::size, "the conversation has {} tokens, and the context holds {}: /undo, /clear, or start with {}",
            count, engine_.context(), options_.forget ? "a larger --ctx-size" : "--context-shift");
    }
  }

  void answer_last() {
    const StopsAnswer interruptible;
    const std::uint64_t index = answers_++;
    engine_.submit({.index = index, .prompt = prompt(), .sampling = options_.sampling, .max_new_tokens = options_.predict,
                    .stop_tokens = loaded_.stop_tokens});
    TextStream stream(loaded_.tokenizer, {});
    StandardOutput out;
    std::string text;
    const auto give = [&](const std::string& piece) {
      text += piece;
      if (!piece.empty()) out.write(piece), out.flush();
    };
    std::vector<GenerateEvent> events;
    const auto begin = Clock::now();
    auto first = begin;
    try {
      while (!engine_.idle() && !stopped) {
        events.clear();
        engine_.step(events);
        for (const GenerateEvent& e : events) {
          if (first == begin) first = Clock::now();
          ++written_;
          if (e.finish != Finish::stop) give(stream.push(e.chosen.token));
        }
      }
    } catch (...) {
      engine_.cancel(index);  // the next answer must not go on with this one
      throw;
    }
    if (stopped) engine_.cancel(index);
    give(stream.finish());
    out.write("\n");
    out.flush();
    reading_ += std::chrono::duration<double>(first - begin).count();
    writing_ += std::chrono::duration<double>(Clock::now() - first).count();
    messages_.push_back({{"role", "assistant"}, {"content", text}});
  }

  const Options& options_;
  ChatTemplate template_;
  LoadedCausalModel loaded_;
  std::function<bool(std::int32_t)> breaks_;
  std::unique_ptr<Drafter> drafter_;
  Engine engine_;
  ChatOptions chat_options_;
  OrderedJson messages_;
  std::uint64_t answers_ = 0, written_ = 0;
  double reading_ = 0, writing_ = 0;  // seconds
};

// A message: a line, several that end with \ but for the last, or all between two lines of """.
std::optional<std::string> read_message(LineEditor& editor) {
  std::optional<std::string> line = editor.read("> ");
  if (!line || !editor.interactive()) return line;
  std::string message;
  if (line->starts_with("\"\"\"")) {
    std::string rest = line->substr(3);
    for (;;) {
      if (const std::size_t end = rest.find("\"\"\""); end != rest.npos) return message + rest.substr(0, end);
      if (!rest.empty() || !message.empty()) message += rest + "\n";
      if (line = editor.read(". "); !line) return std::nullopt;
      rest = *line;
    }
  }
  while (line->ends_with('\\')) {
    line->pop_back();
    message += *line + "\n";
    if (line = editor.read(". "); !line) return std::nullopt;
  }
  return message + *line;
}

// A line that begins with /; false ends the conversation.
bool obey(Chat& chat, const std::string& line, std::string& attached) {
  const std::size_t space = std::min(line.find(' '), line.size());
  const std::string name = line.substr(0, space), argument = line.substr(std::min(line.find_first_not_of(' ', space), line.size()));
  StandardOutput out;
  if (name == "/exit" || name == "/quit" || name == "/bye") return false;
  if (name == "/help") out.write(kHelp);
  else if (name == "/system") chat.begin_anew(argument);
  else if (name == "/clear") chat.begin_anew("");
  else if (name == "/undo") chat.undo();
  else if (name == "/retry") chat.answer_again();
  else if (name == "/file") attached += read_text(argument) + "\n";
  else if (name == "/save") chat.save(argument);
  else if (name == "/load") chat.load(argument);
  else fail(Code::usage, "{} is no command; /help lists them", quoted(name));
  out.flush();
  return true;
}

void run(const Options& o) {
  o.sampling.validate();
  check(o.predict != 0, Code::bad_value, "--predict 0: an answer has at least one token");
  const ModelSource source = open_source(o.files);
  Chat chat(o, source);
  LineEditor editor("chat");
  if (!o.prompt.empty()) chat.answer(o.prompt);
  if (editor.interactive()) note("/help lists commands; Ctrl-C stops an answer, Ctrl-D ends.");
  std::string attached;
  // With one question and nobody at the other end, the answer is all there is to do.
  while (o.prompt.empty() || editor.interactive()) {
    const std::optional<std::string> message = read_message(editor);
    if (!message && editor.interrupted()) continue;
    if (!message) break;
    if (message->find_first_not_of(" \t\r") == message->npos) continue;
    const bool command = editor.interactive() && message->starts_with('/');
    try {
      check(!utf8_error(*message), Code::utf8, "the message is not UTF-8");
      if (command && !obey(chat, *message, attached)) break;
      if (!command) chat.answer(std::exchange(attached, "") + *message);
    } catch (const Error& error) {
      if (!editor.interactive()) throw;
      note(error.what());  // and the conversation goes on
    }
  }
  if (editor.interactive()) StandardOutput().write("\n");
  note(chat.speed());
}

}  // namespace

void add_chat(CLI::App& program) {
  CLI::App* c = program.add_subcommand("chat", "Talk with a language model");
  auto o = std::make_shared<Options>();
  add_model_options(*c, o->files);
  c->add_option("-p,--prompt", o->prompt, "The first message; without a terminal, the only one")->type_name("TEXT");
  c->add_option("--sys,--system-prompt", o->system, "Instructions that stand before the conversation")->type_name("TEXT");
  add_length_options(*c, o->predict, o->engine);
  add_cache_options(*c, o->engine.cache);
  c->add_flag("--context-shift", o->forget, "When the context is full, forget the oldest messages and go on");
  c->add_option("--chat-template", o->chat_template, "A template (Jinja) in the place of the model's own")->type_name("TEXT");
  c->add_option("--chat-template-file", o->chat_template_file, "A file that holds it")->type_name("FILE");
  c->add_option("--chat-template-kwargs", o->kwargs, "Further variables of the template, as '{\"enable_thinking\": false}'")->type_name("JSON");
  c->add_flag("--parse-special", o->parse_special, "Names of special tokens in messages are these tokens");
  add_threads_option(*c);
  add_draft_options(*c, o->draft, o->engine);
  add_sampling_options(*c, o->sampling);
  c->footer(
      "Without a terminal, each line of standard input is a message.\n"
      "Examples:\n"
      "  glossa chat -m MODEL\n"
      "  glossa chat -m MODEL --sys 'Answer in French.' --temp 0.2\n"
      "  glossa chat -m MODEL -p 'What is a glossary?' < /dev/null");
  c->callback([o] { run(*o); });
}

}  // namespace glossa::app
