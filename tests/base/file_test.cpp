#include "base/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>

#include "base/error.h"
#include "base/json.h"
#include "support/in_folder.h"

namespace glossa {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Files : public InFolder {
 protected:
  std::vector<std::string> names() const {
    std::vector<std::string> list;
    for (const auto& entry : fs::directory_iterator(folder)) list.push_back(entry.path().filename());
    std::sort(list.begin(), list.end());
    return list;
  }

};

Code code_of(const std::function<void()>& action, std::string* message = nullptr) {
  try {
    action();
  } catch (const Error& error) {
    if (message) *message = error.what();
    return error.code();
  }
  return Code::internal;
}

TEST_F(Files, ReadsWholeFilesUpToALimit) {
  put("a", "hello");
  put("empty", "");
  EXPECT_EQ(read_file(folder / "a"), "hello");
  EXPECT_EQ(read_file(folder / "a", 5), "hello");
  EXPECT_EQ(read_file(folder / "empty"), "");
  EXPECT_EQ(code_of([&] { read_file(folder / "a", 4); }), Code::size);
}

TEST_F(Files, ReadsAtOffsetsAndSaysWhatIsMissing) {
  put("a", "0123456789");
  const FileHandle file = FileHandle::open_regular(folder / "a");
  std::array<std::byte, 4> buffer;
  file.read_at(3, buffer);
  EXPECT_EQ(as_text(buffer), "3456");
  std::string message;
  EXPECT_EQ(code_of([&] { file.read_at(8, buffer); }, &message), Code::read);
  EXPECT_THAT(message, HasSubstr("ends at byte 10, 2 bytes before"));
}

TEST_F(Files, A33_RefusesWhatIsNoRegularFileWithoutHanging) {
  ASSERT_EQ(mkfifo((folder / "fifo").c_str(), 0600), 0);
  fs::create_directory_symlink(folder, folder / "link");
  fs::create_symlink("/dev/zero", folder / "zero");
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address = {AF_UNIX, {}};
  const std::string name = (folder / "socket").native();
  ASSERT_LT(name.size(), sizeof address.sun_path);
  std::copy(name.begin(), name.end(), address.sun_path);
  ASSERT_EQ(bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  for (const fs::path& path :
       {folder, folder / "link", folder / "zero", folder / "fifo", folder / "socket", fs::path("/dev/random"),
        fs::path("/proc/self/maps"), fs::path("/proc/cpuinfo")}) {
    EXPECT_EQ(code_of([&] { read_file(path); }), Code::not_regular) << path;
    EXPECT_EQ(code_of([&] { MappedFile file(path); }), Code::not_regular) << path;
  }
  close(socket);
}

TEST_F(Files, A34_LoopsDanglingLinksAndEndlessPathsGiveTheSystemsWords) {
  fs::create_symlink("loop", folder / "loop");
  fs::create_symlink("nowhere", folder / "dangling");
  std::string message;
  EXPECT_EQ(code_of([&] { read_file(folder / "loop"); }, &message), Code::open);
  EXPECT_THAT(message, HasSubstr("Too many levels of symbolic links"));
  EXPECT_EQ(code_of([&] { read_file(folder / "dangling"); }, &message), Code::open);
  EXPECT_THAT(message, HasSubstr("No such file or directory"));
  EXPECT_EQ(code_of([&] { read_file(std::string(5000, 'x')); }, &message), Code::open);
  EXPECT_THAT(message, HasSubstr("File name too long"));
  EXPECT_LT(message.size(), 600u);
}

TEST_F(Files, K04_PathsWithAnyBytesWorkAndAreShownEscaped) {
  const std::string odd = "a b\n\x1B[31m\xFF";
  write_file(folder / odd, "x");
  EXPECT_EQ(read_file(folder / odd), "x");
  EXPECT_EQ(shown("plain/path.bin"), "plain/path.bin");
  EXPECT_EQ(shown(""), "\"\"");
  EXPECT_EQ(shown(odd), "\"a b\\x0a\\x1b[31m\\xff\"");
}

TEST_F(Files, MappedFilesShowTheBytes) {
  put("a", "mapped");
  put("empty", "");
  EXPECT_EQ(as_text(MappedFile(folder / "a").bytes()), "mapped");
  const MappedFile empty(folder / "empty");
  EXPECT_TRUE(empty.bytes().empty());
  EXPECT_NO_THROW(empty.check_intact());
}

TEST_F(Files, A32_AMappedFileTruncatedUnderUsReadsAsZerosAndSaysSo) {
  put("a", std::string(1 << 20, 'x'));
  const MappedFile file(folder / "a"), second(folder / "a");
  EXPECT_NO_THROW(file.check_intact());
  fs::resize_file(folder / "a", 5000);
  std::size_t seen = 0, zeros = 0;
  for (std::byte b : file.bytes()) seen += b == std::byte{'x'}, zeros += b == std::byte{0};
  EXPECT_EQ(seen, 5000u);
  EXPECT_EQ(zeros, (1u << 20) - 5000u);
  std::string message;
  EXPECT_EQ(code_of([&] { file.check_intact(); }, &message), Code::changed);
  EXPECT_THAT(message, HasSubstr("had 1048576 bytes when it was opened and has 5000 now"));
  EXPECT_EQ(code_of([&] { second.check_intact(); }), Code::changed);
}

TEST_F(Files, TruncationWithinTheLastPageAndRewritingInPlaceAreSeenToo) {
  put("a", std::string(100, 'x'));
  const MappedFile cut(folder / "a");
  fs::resize_file(folder / "a", 50);
  EXPECT_EQ(code_of([&] { cut.check_intact(); }), Code::changed);
  put("b", std::string(100, 'x'));
  const MappedFile rewritten(folder / "b");
  timespec later[2] = {{0, UTIME_OMIT}, {2'000'000'000, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, (folder / "b").c_str(), later, 0), 0);
  EXPECT_EQ(code_of([&] { rewritten.check_intact(); }), Code::changed);
}

TEST_F(Files, ABusErrorOutsideOurMappingsStillKills) {
  put("a", "x");
  const MappedFile file(folder / "a");
  EXPECT_DEATH(raise(SIGBUS), "");  // or reported by a sanitizer, which was asked before us
}

TEST_F(Files, AnAtomicFileAppearsOnCommitAndLeavesNothingOtherwise) {
  {
    AtomicFile file(folder / "out");
    file.write("half");
    EXPECT_FALSE(fs::exists(folder / "out"));
  }
  EXPECT_THAT(names(), ElementsAre());
  write_file(folder / "out", "one");
  write_file(folder / "out", "two");
  EXPECT_EQ(read_file(folder / "out"), "two");
  EXPECT_THAT(names(), ElementsAre("out"));
}

TEST_F(Files, K05_AtomicFilesRefuseDirectoriesDevicesAndMissingParents) {
  fs::create_directory(folder / "dir");
  fs::create_symlink("elsewhere", folder / "link");
  EXPECT_EQ(code_of([&] { AtomicFile f(folder / "dir"); }), Code::open);
  EXPECT_EQ(code_of([&] { AtomicFile f(folder / "link"); }), Code::open);
  EXPECT_EQ(code_of([&] { AtomicFile f("/dev/null"); }), Code::open);
  EXPECT_EQ(code_of([&] { AtomicFile f(folder / "absent" / "out"); }), Code::open);
  EXPECT_EQ(code_of([&] { AtomicFile f(folder / ""); }), Code::bad_value);
  EXPECT_THAT(names(), ElementsAre("dir", "link"));
}

TEST_F(Files, G07_ACommitIsTriedOnce) {
  AtomicFile file(folder / "f");
  file.commit();
  EXPECT_THROW(file.commit(), Error);
  AtomicDirectory directory(folder / "d");
  directory.commit();
  EXPECT_THROW(directory.commit(), Error);
  EXPECT_EQ(manifest_fault(folder / "d"), "");
}

TEST_F(Files, LongNamesFitTheSystemsLimit) {
  const std::string name(255, 'n');
  write_file(folder / name, "x");
  EXPECT_THAT(names(), ElementsAre(name));
}

TEST_F(Files, AnAtomicDirectoryAppearsCompleteWithItsManifest) {
  {
    AtomicDirectory abandoned(folder / "checkpoint-1");
    std::ofstream(abandoned.path() / "a") << "x";
  }
  EXPECT_THAT(names(), ElementsAre());
  AtomicDirectory directory(folder / "checkpoint-1");
  std::ofstream(directory.path() / "weights") << "abc";
  fs::create_directory(directory.path() / "sub");
  std::ofstream(directory.path() / "sub" / "state") << "";
  EXPECT_FALSE(fs::exists(folder / "checkpoint-1"));
  directory.commit();
  EXPECT_THAT(names(), ElementsAre("checkpoint-1"));
  EXPECT_EQ(manifest_fault(folder / "checkpoint-1"), "");
  const Json manifest = read_json(folder / "checkpoint-1" / "MANIFEST.json");
  EXPECT_EQ(manifest["files"].size(), 2u);
  EXPECT_EQ(manifest["files"][1]["name"], "weights");
  EXPECT_EQ(manifest["files"][1]["size"], 3);
  EXPECT_EQ(manifest["files"][1]["sha256"], sha256(as_bytes("abc")));
}

TEST_F(Files, AnAtomicDirectoryReplacesAnOldOneWhole) {
  for (const char* text : {"old", "new"}) {
    AtomicDirectory directory(folder / "d");
    std::ofstream(directory.path() / text) << text;
    directory.commit();
  }
  EXPECT_THAT(names(), ElementsAre("d"));
  EXPECT_FALSE(fs::exists(folder / "d" / "old"));
  EXPECT_EQ(manifest_fault(folder / "d"), "");
}

class Manifest : public Files {
 protected:
  void SetUp() override {
    Files::SetUp();
    AtomicDirectory directory(folder / "d");
    std::ofstream(directory.path() / "weights") << "0123456789";
    std::ofstream(directory.path() / "optimizer") << "9876543210";
    directory.commit();
    ASSERT_EQ(fault(), "");
  }
  std::string fault() const { return manifest_fault(folder / "d"); }
  void change(const std::string& from, const std::string& to) {
    std::string text = read_file(folder / "d/MANIFEST.json");
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos);
    put("d/MANIFEST.json", text.replace(at, from.size(), to));
  }
};

TEST_F(Manifest, G10_EveryChangedByteOfAFileIsFound) {
  for (std::size_t at = 0; at < 10; ++at) {
    std::string text = "0123456789";
    text[at] ^= 1;
    put("d/weights", text);
    EXPECT_THAT(fault(), HasSubstr("the checksum of \"weights\" differs"));
  }
  put("d/weights", "012345678");
  EXPECT_THAT(fault(), HasSubstr("\"weights\" has 9 bytes, and 10 were written"));
}

TEST_F(Manifest, G11_MissingTruncatedAbsentAndExtraFilesAreFaults) {
  const std::string manifest = read_file(folder / "d/MANIFEST.json");
  for (std::size_t size = 0; size + 2 < manifest.size();
       ++size) {  // without its last byte, a newline, it is whole
    put("d/MANIFEST.json", manifest.substr(0, size));
    EXPECT_NE(fault(), "") << size;
  }
  put("d/MANIFEST.json", manifest);
  put("d/extra", "");
  EXPECT_THAT(fault(), HasSubstr("\"extra\" is there and not listed"));
  fs::remove(folder / "d/extra");
  fs::remove(folder / "d/optimizer");
  EXPECT_THAT(fault(), HasSubstr("\"optimizer\" is missing"));
  fs::remove(folder / "d/MANIFEST.json");
  EXPECT_THAT(fault(), HasSubstr("has no MANIFEST.json"));
  EXPECT_THAT(manifest_fault(folder / "absent"), HasSubstr("has no MANIFEST.json"));
}

TEST_F(Manifest, NamesCannotLeadOutOfTheDirectory) {
  put("secret", "0123456789");
  change("\"weights\"", "\"../secret\"");
  EXPECT_NE(fault(), "");
  change("\"../secret\"", "\"/etc/passwd\"");
  EXPECT_NE(fault(), "");
}

TEST_F(Manifest, E17_ANewerFormatIsNamed) {
  change("\"format\": 1", "\"format\": 7");
  EXPECT_THAT(fault(), HasSubstr("written in format 7, and this program reads format 1"));
}

TEST_F(Files, G01_LeftoversOfDeadProcessesAreRemovedAndOthersStay) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);  // its pid is free now
  const std::string dead = std::to_string(child), own = std::to_string(getpid());
  put(".model.tmp-" + dead + "-0", "x");
  fs::create_directories(folder / (".checkpoint-5.tmp-" + dead + "-17") / "sub");
  put(".model.tmp-1-0", "x");            // process 1 lives
  put(".old.tmp-" + own + "-999", "x");  // a namesake of this process, before a restart
  put(".model.tmp-x-0", "x");
  put("model.tmp-" + dead + "-0", "x");
  put(".note.tmp-" + dead + "-", "x");
  AtomicFile live(folder / "live");
  remove_leftovers(folder);
  live.write("x");
  live.commit();
  EXPECT_THAT(names(), ElementsAre(".model.tmp-1-0", ".model.tmp-x-0", ".note.tmp-" + dead + "-", "live",
                                   "model.tmp-" + dead + "-0"));
}

TEST(Sha256, KnownAnswers) {  // FIPS 180-4 examples
  EXPECT_EQ(sha256({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256(as_bytes("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(Files, TheHashOfAFileIsTheHashOfItsBytes) {
  const std::string text(3'000'001, 'z');
  put("a", text);
  EXPECT_EQ(sha256_of_file(folder / "a"), sha256(as_bytes(text)));
}

TEST_F(Files, G14_ASecondHolderOfADirectoryIsRefusedAndToldWhoHasIt) {
  {
    const DirectoryLock lock(folder);
    std::string message;
    EXPECT_EQ(code_of([&] { DirectoryLock second(folder); }, &message), Code::locked);
    EXPECT_THAT(message, HasSubstr("process " + std::to_string(getpid()) + " on "));
    EXPECT_THAT(message, HasSubstr(" since 20"));
    EXPECT_EXIT(
        {
          const Code code = code_of([&] { DirectoryLock second(folder); });
          _exit(static_cast<int>(Error(code, "").exit()));
        },
        testing::ExitedWithCode(7), "");
  }
  EXPECT_THAT(names(), ElementsAre());
  const DirectoryLock again(folder);
}

TEST_F(Files, G14_TheLockOfAKilledProcessIsFree) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    DirectoryLock* const lock = new DirectoryLock(folder);
    (void)!write(ready[1], lock ? "!" : "?", 1);
    pause();
    _exit(0);
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_EQ(code_of([&] { DirectoryLock lock(folder); }), Code::locked);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_NO_THROW(DirectoryLock lock(folder));
  close(ready[0]);
  close(ready[1]);
}

TEST_F(Files, FreeSpaceIsThatOfTheFileSystem) {
  EXPECT_GT(free_space(folder), 0u);
  EXPECT_EQ(code_of([&] { free_space(folder / "absent"); }), Code::open);
}

TEST_F(Files, HandlesMove) {
  FileHandle a = FileHandle::create(folder / "a");
  FileHandle b = std::move(a);
  EXPECT_EQ(a.descriptor(), -1);
  b.write(as_bytes("x"));
  b = FileHandle::append(folder / "a");
  b.write(as_bytes("y"));
  b.close();
  EXPECT_NO_THROW(b.close());
  EXPECT_EQ(read_file(folder / "a"), "xy");
}

}  // namespace
}  // namespace glossa
