import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Transport

/// A pipe that holds one page.
private func smallPipe() -> (reading: Int32, writing: Int32) {
  var ends: [Int32] = [0, 0]
  precondition(unsafe pipe(&ends) == 0)
  // F_SETPIPE_SZ, which Glibc's module leaves out.
  _ = fcntl(ends[1], 1031, 4096)
  return (ends[0], ends[1])
}

/// All that comes until the writing end is closed, in lines.
private func lines(from descriptor: Int32) -> [String] {
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 65536)
  while case let count = unsafe read(descriptor, &chunk, chunk.count), count > 0 { bytes += chunk[..<count] }
  return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
}

private func lossLine(_ count: Int, _ loss: LineWriter.Loss) -> String {
  switch loss {
  case .tooSlow: "\(count) lost"
  case .failed(let code): "\(count) lost by \(code)"
  }
}

/// How often the system has refused to let a file grow, in a process of one test.
private let refusals = Atomic(0)

struct LineWriterTests {
  @Test func `lines come whole, in their order, and all of them`() throws {
    let (reading, writing) = smallPipe()
    let writer = try LineWriter(to: writing, lossLine: lossLine)
    let sent = (0..<5000).map { "line \($0) " + String(repeating: "x", count: $0 % 200) }
    let thread = try ReactorThread(name: "test", signal: WakeSignal()) {
      for line in sent { writer.write(line) }
      writer.finish(within: .seconds(20))
      close(writing)
    }
    #expect(lines(from: reading) == sent)
    thread.join()
    close(reading)
  }

  @Test func `a line that is longer than a piece comes whole`() throws {
    let (reading, writing) = smallPipe()
    let long = String(repeating: "abc", count: 10_000)
    let thread = try ReactorThread(name: "test", signal: WakeSignal()) {
      let writer = try? LineWriter(to: writing, lossLine: lossLine)
      writer?.write(long)
      writer?.write("next")
      writer?.finish(within: .seconds(20))
      close(writing)
    }
    #expect(lines(from: reading) == [long, "next"])
    thread.join()
    close(reading)
  }

  @Test func `what nobody reads is bounded, and the count is told where the lines are missing`() throws {
    let (reading, writing) = smallPipe()
    let writer = try LineWriter(to: writing, limits: .init(bytes: 20_000, lines: 100), lossLine: lossLine)
    let line = String(repeating: "x", count: 999)
    for _ in 0..<100 { writer.write(line) }
    // Nobody has read so far, and none of the calls waited.
    let thread = try ReactorThread(name: "test", signal: WakeSignal()) {
      writer.finish(within: .seconds(20))
      close(writing)
    }
    let read = lines(from: reading)
    thread.join()
    let kept = read.count { $0 == line }
    // The queue's 20, and the four that the pipe may have taken before.
    #expect((16...24).contains(kept))
    #expect(read.last == "\(100 - kept) lost")
    #expect(read.count == kept + 1)
    close(reading)
  }

  @Test func `a number of lines is a bound as well`() throws {
    let (reading, writing) = smallPipe()
    let writer = try LineWriter(to: writing, limits: .init(bytes: 1 << 20, lines: 10), lossLine: lossLine)
    writer.write(String(repeating: "x", count: 5000))
    for number in 0..<20 { writer.write("\(number)") }
    let thread = try ReactorThread(name: "test", signal: WakeSignal()) {
      writer.finish(within: .seconds(20))
      close(writing)
    }
    let read = lines(from: reading)
    thread.join()
    #expect(Array(read.dropFirst()) == (0..<9).map(String.init) + ["11 lost"])
    close(reading)
  }

  @Test func `finishing gives up on a reader that does not read, in time`() throws {
    let (reading, writing) = smallPipe()
    let writer = try LineWriter(to: writing, lossLine: lossLine)
    for _ in 0..<20 { writer.write(String(repeating: "x", count: 1000)) }
    let begun = MonotonicTime.now
    #expect(writer.finish(within: .milliseconds(300)))
    #expect(MonotonicTime.now < begun + .seconds(10))
    writer.write("nothing is taken any more")
    close(writing)
    #expect(!lines(from: reading).contains("nothing is taken any more"))
    close(reading)
  }

  @Test func `a reader that is gone loses lines, and ends nothing`() async {
    // In a process of its own, for the signal.
    await #expect(processExitsWith: .success) {
      _ = signal(SIGPIPE, SIG_IGN)
      let (reading, writing) = smallPipe()
      close(reading)
      let writer = try LineWriter(to: writing, lossLine: lossLine)
      writer.write("one")
      #expect(writer.finish(within: .seconds(20)))
    }
  }

  @Test func `a file that may not grow breaks a line off, and goes on behind it with the count`() async {
    await #expect(processExitsWith: .success) {
      _ = signal(SIGXFSZ) { _ in refusals.add(1, ordering: .relaxed) }
      // The writer's thread inherits it.
      var signals = sigset_t()
      unsafe sigemptyset(&signals)
      unsafe sigaddset(&signals, SIGXFSZ)
      unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
      let path = temporaryPath()
      let file = unsafe open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
      unsafe unlink(path)
      setFileLimit(to: 10)
      let writer = try LineWriter(to: file, lossLine: lossLine)
      writer.write("first")
      writer.write("does not fit")
      // Until the rest of the line was refused: before, there was room for the first bytes of it.
      while refusals.load(ordering: .relaxed) == 0 { usleep(1000) }
      setFileLimit(to: Int.max)
      while lseek(file, 0, SEEK_CUR) < 11 {
        writer.write("later")
        usleep(100_000)
      }
      #expect(writer.finish(within: .seconds(20)))
      lseek(file, 0, SEEK_SET)
      let read = lines(from: file)
      #expect(read.first == "first")
      #expect(read.dropFirst(1).first == "does")
      #expect(read.contains("1 lost by \(EFBIG)"))
      #expect(read.contains("later"))
    }
  }

  @Test func `a shared descriptor that somebody made non-blocking is waited for`() throws {
    let (reading, writing) = smallPipe()
    setNonBlocking(writing)
    let sent = (0..<1000).map { "line \($0) " + String(repeating: "x", count: 100) }
    let thread = try ReactorThread(name: "test", signal: WakeSignal()) {
      let writer = try? LineWriter(to: writing, lossLine: lossLine)
      for line in sent { writer?.write(line) }
      writer?.finish(within: .seconds(20))
      close(writing)
    }
    #expect(lines(from: reading) == sent)
    thread.join()
    close(reading)
  }
}

/// The soft limit alone, so that it can be raised again.
private func setFileLimit(to bytes: Int) {
  var limit = rlimit()
  unsafe getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
  limit.rlim_cur = bytes == .max ? limit.rlim_max : rlim_t(bytes)
  unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
}
