// Cases C01, C02, C05 to C11 and C18: pickles, written opcode by opcode.
#include "checkpoint/pickle.h"

#include <gmock/gmock.h>

#include "files.h"
#include "torch_files.h"

namespace glossa {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;
using Kind = Pickle::Kind;

std::string pickle_refusal(const std::string& code, const Limits& limits = {}) {
  return error_of([&] { parse_pickle(as_bytes(code), "p", limits); });
}
std::string value_refusal(const std::string& value, const Limits& limits = {}) {
  return pickle_refusal(pk::whole(value), limits);
}

TEST(PickleTest, PlainValuesOfEveryOpcode) {
  using namespace std::string_literals;
  const std::string items =
      "N\x88\x89I01\nI00\nK\xFFM\xFF\xFFJ\xFE\xFF\xFF\xFF\x8A\x00\x8A\x01\x80\x8B\x02\x00\x00\x00\x01\x01"s +
      "L-5L\nL99999999999999999999L\n\x8A\x09\0\0\0\0\0\0\0\0\1G\x3F\xF8\0\0\0\0\0\0"s + pk::text("t") +
      "\x8C\1u\x8D\1\0\0\0\0\0\0\0v"s + "B\1\0\0\0aC\1b\x8E\1\0\0\0\0\0\0\0c\x96\1\0\0\0\0\0\0\0d"s +
      ")(K\1t\x85K\2K\3\x86K\4K\5K\6\x87](K\1e}(K\1K\2u\x8F(K\1\x90(K\1\x91"s;
  const std::string code = pk::whole("](" + items + "e");
  const Pickle p = parse_pickle(as_bytes(code), "p");
  const auto list = p.items(p.root());
  ASSERT_EQ(list.size(), 30u);
  const std::int64_t numbers[] = {0, 1, 0, 1, 0, 255, 65535, -2, 0, -128, 257, -5};
  for (std::size_t i = 0; i < std::size(numbers); ++i) EXPECT_EQ(p.integer(list[i]), numbers[i]) << i;
  EXPECT_EQ(p.kind(list[0]), Kind::none);
  EXPECT_EQ(p.kind(list[1]), Kind::boolean);
  EXPECT_EQ(p.kind(list[12]), Kind::huge);
  EXPECT_EQ(p.text(list[13]), "\0\0\0\0\0\0\0\0\1"s);
  EXPECT_EQ(p.real(list[14]), 1.5);
  EXPECT_EQ(p.text(list[15]), "t");
  EXPECT_EQ(p.text(list[17]), "v");
  EXPECT_EQ(p.kind(list[18]), Kind::bytes);
  EXPECT_EQ(p.text(list[21]), "d");
  EXPECT_EQ(p.kind(list[22]), Kind::tuple);
  EXPECT_EQ(p.items(list[22]).size(), 0u);
  EXPECT_EQ(p.kind(p.items(list[23])[0]), Kind::tuple);
  EXPECT_EQ(p.integer(p.items(list[25])[2]), 6);
  EXPECT_EQ(p.kind(list[26]), Kind::list);
  EXPECT_EQ(p.items(list[27]).size(), 2u);
  for (const std::size_t i : {28, 29}) EXPECT_EQ(p.kind(list[i]), Kind::set);
  EXPECT_EQ(p.text(list[26]), "");  // asked of what has none
  EXPECT_EQ(p.items(list[15]).size(), 0u);
}

TEST(PickleTest, TheMemoGivesTheSameValueAgain) {
  using namespace std::string_literals;
  const std::string code = pk::whole("](K\7q\5K\x08\x94h\5h\1j\5\0\0\0e"s);
  const Pickle p = parse_pickle(as_bytes(code), "p");
  const auto list = p.items(p.root());
  ASSERT_EQ(list.size(), 5u);
  EXPECT_EQ(list[2], list[0]);
  EXPECT_EQ(list[3], list[1]);  // MEMOIZE numbers by how many there are
  EXPECT_EQ(list[4], list[0]);
}

TEST(PickleTest, CallsAreValuesThatHoldNameAndArguments) {
  const std::string code = pk::whole(pk::call("torch", "Size", pk::numbers({2, 3})));
  const Pickle p = parse_pickle(as_bytes(code), "p");
  EXPECT_EQ(p.kind(p.root()), Kind::call);
  EXPECT_EQ(p.text(p.items(p.root())[0]), "torch.Size");
  EXPECT_EQ(p.items(p.items(p.root())[1]).size(), 1u);
}

TEST(PickleTest, C01_NothingOutsideTheListMayBeCalled) {
  const std::pair<const char*, const char*> payloads[] = {{"os", "system"},
                                                          {"posix", "system"},
                                                          {"nt", "system"},
                                                          {"builtins", "eval"},
                                                          {"builtins", "exec"},
                                                          {"__builtin__", "eval"},
                                                          {"builtins", "getattr"},
                                                          {"builtins", "__import__"},
                                                          {"builtins", "open"},
                                                          {"builtins", "print"},
                                                          {"subprocess", "Popen"},
                                                          {"subprocess", "check_output"},
                                                          {"sys", "exit"},
                                                          {"runpy", "_run_code"},
                                                          {"importlib", "import_module"},
                                                          {"pickle", "loads"},
                                                          {"marshal", "loads"},
                                                          {"ctypes", "CDLL"},
                                                          {"socket", "socket"},
                                                          {"shutil", "rmtree"},
                                                          {"webbrowser", "open"},
                                                          {"torch", "load"},
                                                          {"torch.hub", "load"},
                                                          {"torch.storage", "_load_from_bytes"},
                                                          {"torch", "jit.load"},
                                                          {"numpy", "load"},
                                                          {"operator", "attrgetter"},
                                                          {"functools", "partial"},
                                                          {"collections", "OrderedDict "},
                                                          {"timeit", "timeit"},
                                                          {"torch._utils", "_rebuild_tensor_v2.__globals__"},
                                                          {"enum", "Enum"}};
  for (const auto& [module, name] : payloads) {
    const std::string allowed = fmt::format("global {}.{} is not allowed", module, name);
    const std::string payload = pk::call(module, name, pk::text("touch /tmp/pwned"));
    EXPECT_THAT(value_refusal(payload), AllOf(StartsWith("E3106"), HasSubstr(allowed)));
    // Deep in a list, in the state of an instance that is left out, and as protocol 4 names it.
    EXPECT_THAT(value_refusal("](K\1" + payload + "e"), HasSubstr(allowed));
    EXPECT_THAT(value_refusal(pk::global("a", "B") + ")\x81}(" + pk::text("x") + payload + "ub"),
                HasSubstr(allowed));
    EXPECT_THAT(value_refusal(pk::text(module) + pk::text(name) + "\x93)R"), HasSubstr(allowed));
  }
}

TEST(PickleTest, C01_WhatIsCalledMustBeAGlobalAndNoResultOfACall) {
  EXPECT_THAT(value_refusal("K\1)R"), HasSubstr("REDUCE of a whole number; a global must be"));
  EXPECT_THAT(value_refusal(pk::call("torch", "Size", ")") + ")R"), HasSubstr("REDUCE of a call"));
  EXPECT_THAT(value_refusal(pk::text("posix.system") + ")R"), HasSubstr("REDUCE of a text"));
  EXPECT_THAT(value_refusal(pk::global("a", "B") + ")\x81)R"), HasSubstr("REDUCE of an instance"));
  EXPECT_THAT(value_refusal("K\1)\x81"), HasSubstr("NEWOBJ of a whole number"));
}

TEST(PickleTest, C01_NamesAreShownEscapedAndBounded) {
  EXPECT_THAT(value_refusal(pk::call("x\x1B[31m", "y", "")),
              HasSubstr("global \"x\\x1b[31m.y\" is not allowed"));
  EXPECT_THAT(value_refusal(pk::global(std::string(2000, 'x'), "y")), HasSubstr("no end of line"));
  EXPECT_THAT(value_refusal(pk::global("", "y")), StartsWith("E3106"));
  EXPECT_THAT(value_refusal(pk::global("x", "")), StartsWith("E3106"));
}

TEST(PickleTest, C02_AllowedNamesWithOtherNumbersOfArguments) {
  for (const std::string& arguments :
       {std::string(), std::string("K\1K\1K\1"), std::string(8, 'N'), std::string(1'000'000, 'N')})
    EXPECT_THAT(value_refusal(pk::call("torch._utils", "_rebuild_tensor_v2", arguments)),
                AllOf(StartsWith("E3106"), HasSubstr("arguments; it takes 6 to 7")));
  EXPECT_THAT(value_refusal(pk::call("collections", "OrderedDict", "](K\1e")),
              HasSubstr("with 1 arguments; it takes 0"));
  EXPECT_THAT(value_refusal(pk::global("torch", "Size") + "]R"),
              HasSubstr("REDUCE of torch.Size with a list"));
  EXPECT_THAT(value_refusal(pk::global("torch", "Size") + "NR"), HasSubstr("with None"));
}

TEST(PickleTest, C05_ItemsAndStatesOfWhatHasNone) {
  const std::string tensor = pk::tensor();
  EXPECT_THAT(value_refusal(tensor + pk::text("k") + "K\1s"),
              HasSubstr("SETITEM on a call; only a dict is allowed"));
  EXPECT_THAT(value_refusal(tensor + "(" + pk::text("k") + "K\1u"), HasSubstr("SETITEMS on a call"));
  EXPECT_THAT(value_refusal(tensor + "}b"), HasSubstr("BUILD on a tensor"));
  EXPECT_THAT(value_refusal(tensor + ")b"), HasSubstr("BUILD on a tensor"));
  for (const std::string other : {"K\1", "]", ")", "\x8F", "N"}) {
    EXPECT_THAT(value_refusal(other + "}b"), HasSubstr("BUILD on"));
    EXPECT_THAT(value_refusal(other + pk::text("k") + "K\1s"), HasSubstr("SETITEM on"));
  }
  EXPECT_THAT(value_refusal(pk::text("x") + "}b"), HasSubstr("BUILD on a text"));
  EXPECT_THAT(value_refusal(pk::Storage().text() + "}b"), HasSubstr("BUILD on a persistent id"));
  EXPECT_THAT(value_refusal("}K\1b"), HasSubstr("BUILD of a dict with a whole number"));
  EXPECT_THAT(value_refusal("}K\1a"), HasSubstr("APPEND on a dict; only a list"));
  EXPECT_THAT(value_refusal("](K\1\x90"), HasSubstr("ADDITEMS on a list"));
  EXPECT_THAT(value_refusal("}(K\1u"), HasSubstr("a key that has no value"));
}

TEST(PickleTest, C06_MemosThatWereNeverSetOrAreFarAway) {
  using namespace std::string_literals;
  EXPECT_THAT(value_refusal("h\x05"), HasSubstr("memo 5 was never set"));
  EXPECT_THAT(value_refusal("K\1q\7h\6"s), HasSubstr("memo 6 was never set"));
  EXPECT_THAT(value_refusal("j\xFF\xFF\xFF\xFF"), HasSubstr("memo 4294967295 was never set"));
  const double growth = peak_growth([&] {
    EXPECT_THAT(value_refusal("Nr\xFF\xFF\xFF\xFF"),
                AllOf(StartsWith("E3106"), HasSubstr("memo 4294967295: 999999 is the last")));
  });
  EXPECT_LT(growth, bound(64));
  EXPECT_EQ(value_refusal("Nr\x3F\x42\x0F\0"s), "");
}

TEST(PickleTest, C07_StacksThatAreTooShort) {
  for (const char* code : {"\x80\2.", "\x80\2a.", "\x80\2NR.", "\x80\2\x81.", "\x80\2\x87.", "\x80\2NN\x87.",
                           "\x80\2q\1.", "\x80\2Q.", "\x80\2s.", "\x80\2(R."})
    EXPECT_THAT(pickle_refusal(code), AnyOf(HasSubstr("no value on the stack"), HasSubstr("0 values")))
        << code;
  EXPECT_THAT(value_refusal("K\1(\x85"), HasSubstr("above the last mark"));
  for (const char* code : {"\x80\2t.", "\x80\2]e.", "\x80\2}u.", "\x80\2\x91."})
    EXPECT_THAT(pickle_refusal(code), HasSubstr("no mark"));
  EXPECT_THAT(pickle_refusal("\x80\2N"), HasSubstr("ends without STOP"));
  EXPECT_THAT(pickle_refusal(""), HasSubstr("ends without STOP"));
  EXPECT_THAT(pickle_refusal("\x80\2NN."), HasSubstr("STOP with 2 values and 0 marks"));
  EXPECT_THAT(pickle_refusal("\x80\2N(."), HasSubstr("STOP with 1 values and 1 marks"));
  EXPECT_THAT(pickle_refusal("\x80\2N.N"), HasSubstr("1 bytes after STOP"));
  EXPECT_THAT(pickle_refusal(pk::whole("N") + pk::whole(pk::call("os", "system", ""))),
              HasSubstr("bytes after STOP"));
}

TEST(PickleTest, C08_LengthsBeyondTheFile) {
  const std::string big = little(UINT64_MAX), half = little(std::uint64_t{1} << 63);
  const double growth = peak_growth([&] {
    for (const std::string& code :
         {std::string("X\xFF\xFF\xFF\xFF"), "\x8D" + half, "\x8D" + big, "\x8E" + big, "\x96" + big,
          std::string("B\xFF\xFF\xFF\xFF"), std::string("\x8B\xFF\xFF\xFF\xFF"), std::string("\x8A\xFF"),
          std::string("\x8C\xFF"), std::string("G"), std::string("J\1")})
      EXPECT_THAT(value_refusal(code), AllOf(StartsWith("E3106"), HasSubstr("bytes are needed here")))
          << code;
    for (const std::string& size : {big, half, little(std::uint64_t{3})})
      EXPECT_THAT(value_refusal(std::string("\x95") + size + "N"), HasSubstr("a frame of"));
  });
  EXPECT_LT(growth, bound(64));
  EXPECT_EQ(value_refusal(std::string("\x95") + little(std::uint64_t{2}) + "N"), "");
}

TEST(PickleTest, C09_NestingIsBoundedWhateverItIsMadeOf) {
  for (const char* around : {"\x85", "Q"}) {
    std::string deep = "N";
    for (int i = 0; i < 63; ++i) deep += around;
    EXPECT_EQ(value_refusal(deep), "");
    EXPECT_THAT(value_refusal(deep + around), AllOf(StartsWith("E3106"), HasSubstr("nesting > 64")));
  }
  std::string tuples = "N", lists;
  for (int i = 0; i < 1'000'000; ++i) tuples += '\x85', lists += ']';
  EXPECT_THAT(value_refusal(tuples), HasSubstr("nesting > 64"));
  EXPECT_THAT(value_refusal(lists + std::string(999'999, 'a')), HasSubstr("nesting > 64"));
  // From the outside in: each list is in another already when it gets the next.
  std::string inward = "(]q" + std::string(1, '\0');
  for (char i = 0; i < 100; ++i) inward += std::string("h") + i + "]q" + static_cast<char>(i + 1) + "a";
  EXPECT_THAT(value_refusal(inward + "t"), HasSubstr("nesting > 64"));
}

TEST(PickleTest, C09_ValuesThatContainThemselves) {
  EXPECT_THAT(value_refusal("]q\1h\1a"), AllOf(StartsWith("E3106"), HasSubstr("contains itself")));
  EXPECT_THAT(value_refusal("}q\1(K\1h\1u"), HasSubstr("contains itself"));
  EXPECT_THAT(value_refusal("]q\1](h\1ea"), HasSubstr("contains itself"));
  EXPECT_EQ(value_refusal("](]q\1h\1h\1e"), "");  // the same list three times is no cycle
}

TEST(PickleTest, C10_LittleThatWouldBecomeMuchStaysLittle) {
  // Ten million laughs: 9 lists, each ten times in the next. As a graph they are nine values.
  std::string laughs = "]q\1(";
  laughs += std::string("N") + "e";
  for (char i = 2; i < 11; ++i) {
    std::string again;
    for (int k = 0; k < 10; ++k) again += std::string("h") + static_cast<char>(i - 1);
    laughs = laughs + "](" + again + "eq" + i;
  }
  // Ten lists lie on the stack: one tuple takes them all.
  EXPECT_EQ(value_refusal("(" + laughs + "t"), "");
  const std::string many(1'000'000, 'N');
  EXPECT_EQ(value_refusal("](" + many + "e", {.pickle_values = 1'000'002}), "");
  EXPECT_THAT(value_refusal("](" + many + "e", {.pickle_values = 1'000'001}),
              AllOf(StartsWith("E5004"), HasSubstr("more than the 1000001 values")));
  EXPECT_THAT(value_refusal(std::string(1'000'000, '('), {.pickle_values = 1000}), StartsWith("E5004"));
}

TEST(PickleTest, C10_TheLimitOfValuesBoundsMemory) {
  const std::string bomb = pk::whole(std::string(11'000'000, ']'));
  const double growth = peak_growth(
      [&] { EXPECT_THAT(pickle_refusal(bomb), AllOf(StartsWith("E5004"), HasSubstr("10000000 values"))); });
  EXPECT_LT(growth, bound(320));
}

TEST(PickleTest, C11_ProtocolsAndOpcodesThatPlainValuesDoNotNeed) {
  for (const char protocol : {0, 1, 6, 127}) {
    const std::string code = std::string("\x80") + protocol + "N.";
    EXPECT_THAT(pickle_refusal(code), AllOf(StartsWith("E3106"), HasSubstr("2 to 5 are read")));
  }
  const std::pair<char, const char*> opcodes[] = {{'0', "POP"},
                                                  {'1', "POP_MARK"},
                                                  {'2', "DUP"},
                                                  {'F', "FLOAT"},
                                                  {'P', "PERSID"},
                                                  {'S', "STRING"},
                                                  {'T', "BINSTRING"},
                                                  {'U', "SHORT_BINSTRING"},
                                                  {'V', "UNICODE"},
                                                  {'d', "DICT"},
                                                  {'g', "GET"},
                                                  {'i', "INST"},
                                                  {'l', "LIST"},
                                                  {'o', "OBJ"},
                                                  {'p', "PUT"},
                                                  {'\x80', "PROTO"},
                                                  {'\x82', "EXT1"},
                                                  {'\x83', "EXT2"},
                                                  {'\x84', "EXT4"},
                                                  {'\x97', "NEXT_BUFFER"},
                                                  {'\x98', "READONLY_BUFFER"}};
  for (const auto& [opcode, name] : opcodes)
    EXPECT_THAT(value_refusal(std::string("N") + opcode + "posix\nsystem\n"),
                AllOf(StartsWith("E3106 p: byte 3: opcode"),
                      HasSubstr(fmt::format("opcode {} ({:#04x}) is not allowed", name,
                                            static_cast<unsigned char>(opcode)))));
  EXPECT_THAT(value_refusal("\xFF"), HasSubstr("byte 2: 0xff is no opcode"));
  EXPECT_THAT(value_refusal("I42\n"), HasSubstr("only truth values"));
  EXPECT_THAT(value_refusal("L5\n"), HasSubstr("LONG"));
  EXPECT_THAT(value_refusal("K\1K\2\x93"), HasSubstr("STACK_GLOBAL of a whole number"));
  EXPECT_THAT(value_refusal(pk::global("a", "B") + ")N\x92"), HasSubstr("NEWOBJ_EX with None"));
}

TEST(PickleTest, C18_ADamagedEndMakesTheWholePickleNothing) {
  const std::string good = pk::whole(pk::dict(pk::text("w") + pk::tensor()));
  EXPECT_EQ(pickle_refusal(good), "");
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_THAT(pickle_refusal(good.substr(0, size)), StartsWith("E3106")) << size;
  for (std::size_t i = 0; i < good.size(); ++i)
    for (int c = 0; c < 256; ++c) {
      std::string other = good;
      other[i] = static_cast<char>(c);
      EXPECT_THAT(pickle_refusal(other), AnyOf("", StartsWith("E3106")));
    }
}

TEST(PickleTest, C20_InstancesAreNamesAndTheirStateIsLeftOut) {
  const std::string code =
      pk::whole(pk::global("argparse", "Namespace") + ")\x81}(" + pk::text("lr") + "K\1ub");
  const Pickle p = parse_pickle(as_bytes(code), "p");
  EXPECT_EQ(p.kind(p.root()), Kind::instance);
  EXPECT_EQ(p.text(p.items(p.root())[0]), "argparse.Namespace");
  EXPECT_EQ(value_refusal(pk::global("a", "B") + ")}\x92(K\1K\2u(K\1eK\3a"), "");
}

}  // namespace
}  // namespace glossa
