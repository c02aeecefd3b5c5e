import Glibc
import Testing

@testable import Transport

struct ProgramFileTests {
  private func refusal(of path: String) -> String? {
    do throws(TransportFailure) {
      _ = try ProgramFile(path: path)
      return nil
    } catch {
      return "\(error)"
    }
  }

  @Test func `a program is opened`() {
    #expect(refusal(of: "/bin/true") == nil)
  }

  @Test func `what is no file is refused at once, with what it is`() throws {
    let pipe = "/tmp/sluice-program-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
    #expect(unsafe mkfifo(pipe, 0o700) == 0)
    defer { unsafe unlink(pipe) }
    #expect(refusal(of: pipe) == "it is a pipe (FIFO), and the file of a program is needed")
    // It is not kept open: a pipe that nobody reads from cannot be opened for writing (fifo(7)).
    #expect(unsafe open(pipe, O_WRONLY | O_NONBLOCK | O_CLOEXEC) == -1)
    #expect(refusal(of: "/tmp") == "it is a folder, and the file of a program is needed")
    #expect(refusal(of: "/dev/zero") == "it is a device, and the file of a program is needed")
    #expect(refusal(of: "/etc/passwd")?.contains("chmod +x") == true)
  }

  @Test func `a script is refused, because its interpreter could not open it`() throws {
    let path = "/tmp/sluice-script-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
    let raw = unsafe open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o700)
    let text = Array("#!/bin/sh\nexec sluice \"$@\"\n".utf8)
    #expect(unsafe write(raw, text, text.count) == text.count)
    close(raw)
    defer { unsafe unlink(path) }
    #expect(refusal(of: path)?.hasPrefix("it is a script") == true)
  }

  @Test func `a program is started by its descriptor, with nothing but what it is given`() throws {
    let program = try ProgramFile(path: "/bin/sh")
    let input = try Descriptor.pipe()
    let text = Array("a line\n".utf8)
    #expect(unsafe write(input.writing, text, text.count) == text.count)
    close(input.writing)
    defer { close(input.reading) }
    // A library's, without O_CLOEXEC.
    let foreign = unsafe open("/dev/null", O_RDONLY)
    defer { close(foreign) }
    let script =
      #"read line; echo "$line of $WORD"; read score < /proc/$$/oom_score_adj; echo $score >&3; for f in /proc/$$/fd/*; do [ -e "$f" ] && printf '%s ' ${f##*/}; done; exit 7"#
    let child = try ChildReport.run(
      program, ["sh", "-c", script], environment: ["WORD=kept"], input: input.reading, within: .seconds(20))
    #expect(String(decoding: child.output, as: UTF8.self) == "a line of kept\n0 1 2 3 ")
    // If memory is short, it is ended first.
    #expect(String(decoding: child.report, as: UTF8.self) == "1000\n")
    #expect(SmallFile.contents(of: "/proc/self/oom_score_adj") != "1000\n")
    #expect(child.ending == .exited(7))
    let ended = try ChildReport.run(
      program, ["sh", "-c", "kill -TERM $$"], environment: [], input: input.reading, within: .seconds(20))
    #expect(ended.ending == .signalled(SIGTERM))
  }

  @Test func `what is written to the file after it was opened is seen`() throws {
    var path = Array("/tmp/sluice-program-XXXXXX".utf8CString)
    let writing = unsafe mkstemp(&path)
    try #require(writing >= 0)
    defer {
      close(writing)
      unsafe unlink(path)
    }
    #expect(unsafe write(writing, [1, 2, 3], 3) == 3 && fchmod(writing, 0o755) == 0)
    let program = try ProgramFile(
      path: String(decoding: path.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self))
    #expect(!program.isChanged)
    var byte: UInt8 = 0
    #expect(unsafe pwrite(writing, &byte, 1, 1) == 1)
    #expect(program.isChanged)
  }

  /// Runs a script that starts other programs, which have its standard output, too.
  private func run(_ script: String, within time: Duration = .seconds(20)) throws -> ChildReport {
    let input = try Descriptor.pipe()
    defer { for raw in [input.reading, input.writing] { close(raw) } }
    let begin = MonotonicTime.now
    let child = try ChildReport.run(
      ProgramFile(path: "/bin/sh"), ["sh", "-c", script],
      environment: ["PATH=/bin:/usr/bin"], input: input.reading, within: time)
    #expect(MonotonicTime.now.since(begin) < .seconds(15))
    return child
  }

  @Test func `what a child has started is not waited for, and ends with it`() async throws {
    let child = try run("sleep 60 & echo $! >&3; echo here; exit 3")
    #expect(child.ending == .exited(3))
    #expect(String(decoding: child.output, as: UTF8.self) == "here\n")
    let number = String(decoding: child.report.dropLast(), as: UTF8.self)
    let other = try #require(pid_t(number))
    try await Task.sleep(for: .milliseconds(50))
    // Nobody may take note of its end here.
    let state = SmallFile.contents(of: "/proc/\(other)/stat")
    #expect(state == nil || state?.contains(") Z ") == true)
  }

  @Test func `one that is late is killed, and what it has started is not waited for`() throws {
    let child = try run("sleep 60 & setsid sleep 5 & echo here; wait", within: .milliseconds(300))
    #expect(child.ending == .late)
    #expect(String(decoding: child.output, as: UTF8.self) == "here\n")
  }

  @Test func `others that write without end are not listened to`() throws {
    let child = try run("yes & exit 0")
    #expect(child.ending == .exited(0))
    #expect(child.output.count <= 16 * 1024)
  }
}
