import Glibc
import Synchronization

/// Writes lines to a descriptor from its own thread, so that the threads that log never wait for the reader of the log.
///
/// The lines go through a bounded queue. When it is full, the newest lines are dropped and counted, and the next line that is
/// written tells the count. The flags of the descriptor are left alone, because other processes may share its open file.
public final class LineWriter: Sendable {
  /// Why lines were not written.
  public enum Loss: Sendable, Equatable {
    /// The queue was full.
    case tooSlow
    /// Writing failed; `errno`.
    case failed(Int32)
  }

  /// The most that may wait in the queue: bytes including line ends, and lines.
  public struct Limits: Sendable {
    public var bytes: Int
    public var lines: Int

    public init(bytes: Int = 1 << 20, lines: Int = 10_000) {
      self.bytes = bytes
      self.lines = lines
    }
  }

  /// A pipe takes this many bytes in one piece (POSIX, `PIPE_BUF` on Linux): lines of several processes do not mix, and a write
  /// after a `poll` that found room does not block.
  public static let piece = 4096

  /// How often a write that waits for its reader checks whether it has to end.
  private static let look = Duration.milliseconds(100)
  /// How long writing pauses after a failure, such as a full disk.
  private static let rest = Duration.seconds(1)

  private struct Queue {
    var bytes: [UInt8] = []
    var lines = 0
    /// What the thread has taken and not written yet.
    var takenBytes = 0
    var takenLines = 0
    /// Once the queue is full, lines are dropped until half of it is free. Otherwise the log would consist of counts.
    var isFull = false
    var lost = 0
    var loss = Loss.tooSlow
    /// Set once: no more lines are queued, and the waiting ones are written until then.
    var deadline: MonotonicTime?
  }

  private let descriptor: Int32
  private let limits: Limits
  private let lossLine: @Sendable (Int, Loss) -> String
  private let queue = Mutex(Queue())
  private let signal: WakeSignal
  /// Raised when the thread ends.
  private let ended: WakeSignal

  /// Starts the thread.
  ///
  /// - Parameters:
  ///   - descriptor: stays the caller's, and open.
  ///   - lossLine: the line that tells how many were lost, and why.
  public init(
    to descriptor: Int32, limits: Limits = Limits(), lossLine: @escaping @Sendable (Int, Loss) -> String
  ) throws {
    self.descriptor = descriptor
    self.limits = limits
    self.lossLine = lossLine
    signal = try WakeSignal()
    ended = try WakeSignal()
    _ = try ReactorThread(name: "log", signal: signal) {
      self.run()
      self.ended.raise()
    }
  }

  /// Queues a line, given without its line end. Can be called from any thread and never waits. Does nothing after `finish`.
  public func write(_ line: String) {
    queue.withLock { queue in
      guard queue.deadline == nil else { return }
      let size = line.utf8.count + 1
      let bytes = queue.bytes.count + queue.takenBytes
      let lines = queue.lines + queue.takenLines
      if queue.isFull, bytes <= limits.bytes / 2, lines <= limits.lines / 2 { queue.isFull = false }
      if bytes + size > limits.bytes || lines >= limits.lines { queue.isFull = true }
      guard !queue.isFull else {
        queue.lost += 1
        queue.loss = .tooSlow
        return
      }
      tellLoss(&queue)
      Self.append(line, to: &queue)
    }
    signal.raise()
  }

  /// Takes no more lines, and waits until the queued lines are written, but no longer than the given time.
  ///
  /// - Returns: whether the thread has ended. A thread that is stuck in a write is left behind.
  @discardableResult
  public func finish(within time: Duration) -> Bool {
    let deadline = MonotonicTime.now + time
    queue.withLock { queue in
      if queue.deadline == nil { queue.deadline = deadline }
    }
    signal.requestStop()
    return ended.wait(until: deadline + Self.look)
  }

  /// Waits until everything that is queued is written, but no longer than the given time. Lines may come meanwhile.
  @discardableResult
  public func flush(within time: Duration) -> Bool {
    let deadline = MonotonicTime.now + time
    while queue.withLock({ !$0.bytes.isEmpty || $0.takenBytes > 0 }) {
      guard MonotonicTime.now < deadline else { return false }
      sleep(.milliseconds(1))
    }
    return true
  }

  private static func append(_ line: String, to queue: inout Queue) {
    queue.bytes += line.utf8
    queue.bytes.append(UInt8(ascii: "\n"))
    queue.lines += 1
  }

  private func tellLoss(_ queue: inout Queue) {
    guard queue.lost > 0 else { return }
    Self.append(lossLine(queue.lost, queue.loss), to: &queue)
    queue.lost = 0
  }
}

// MARK: - On the thread

extension LineWriter {
  private enum Outcome {
    case written
    case failed(Int32)
    /// The time for it is over.
    case expired
  }

  private func run() {
    // Whether the last write ended its line. If a failure cut a line off, the next write begins with a line end.
    var endsLine = true
    var isBroken = false
    while true {
      signal.lower()
      guard let batch = take() else {
        guard !signal.isStopRequested else { return }
        signal.wait()
        continue
      }
      var rest = batch[...]
      while !rest.isEmpty {
        let piece = Self.piece(of: rest, most: isBroken ? Self.piece - 1 : Self.piece)
        rest.removeFirst(piece.count)
        let bytes = isBroken ? [UInt8(ascii: "\n")] + piece : Array(piece)
        var sent = 0
        let outcome = write(bytes, &sent)
        if sent > 0 {
          endsLine = bytes[sent - 1] == UInt8(ascii: "\n")
          isBroken = false
        }
        switch outcome {
        case .written:
          written(piece)
        case .failed(let code):
          isBroken = !endsLine
          lose(piece, unsent: bytes.count - sent, code)
          guard pause() else { return }
        case .expired:
          return
        }
      }
    }
  }

  /// Everything that is queued; nil if nothing is.
  private func take() -> [UInt8]? {
    queue.withLock { queue in
      // Otherwise the count is written before the next line for which there is room.
      if queue.bytes.isEmpty {
        tellLoss(&queue)
        queue.isFull = false
      }
      guard !queue.bytes.isEmpty else { return nil }
      let batch = queue.bytes
      queue.takenBytes = batch.count
      queue.takenLines = queue.lines
      queue.bytes = []
      queue.lines = 0
      return batch
    }
  }

  /// As many whole lines as fit into one piece, or a part of a line that is longer than a piece.
  private static func piece(of bytes: ArraySlice<UInt8>, most count: Int) -> ArraySlice<UInt8> {
    let most = bytes.prefix(count)
    guard most.count < bytes.count, let end = most.lastIndex(of: UInt8(ascii: "\n")) else { return most }
    return most[...end]
  }

  private func written(_ piece: ArraySlice<UInt8>) {
    let lines = Self.lines(in: piece)
    queue.withLock { queue in
      queue.takenBytes -= piece.count
      queue.takenLines -= lines
    }
  }

  private func lose(_ piece: ArraySlice<UInt8>, unsent: Int, _ code: Int32) {
    written(piece)
    let lost = Self.lines(in: piece.suffix(unsent))
    queue.withLock { queue in
      queue.lost += lost
      queue.loss = .failed(code)
    }
  }

  private static func lines(in bytes: ArraySlice<UInt8>) -> Int {
    bytes.count { $0 == UInt8(ascii: "\n") }
  }

  private func write(_ bytes: [UInt8], _ sent: inout Int) -> Outcome {
    while sent < bytes.count {
      guard waitForRoom() else { return .expired }
      let count = unsafe bytes.withUnsafeBytes {
        unsafe Glibc.write(descriptor, $0.baseAddress.unsafelyUnwrapped + sent, $0.count - sent)
      }
      if count >= 0 {
        sent += count
      } else if errno == EAGAIN {
        // Another process has made the shared file non-blocking and used the room first.
        guard !isOver else { return .expired }
        sleep(.milliseconds(10))
      } else if errno != EINTR {
        return .failed(errno)
      }
    }
    return .written
  }

  /// - Returns: true if the reader has room or the write would fail; false if the time is over.
  private func waitForRoom() -> Bool {
    while SocketCall.poll(descriptor, POLLOUT, until: MonotonicTime.now + Self.look) == 0 {
      guard !isOver else { return false }
    }
    return true
  }

  /// Pauses after a failure.
  ///
  /// - Returns: false if the writer has to end, which does not wait for the failure to pass.
  private func pause() -> Bool {
    let end = MonotonicTime.now + Self.rest
    while MonotonicTime.now < end {
      guard !signal.isStopRequested else { return false }
      sleep(Self.look)
    }
    return true
  }

  private var isOver: Bool {
    guard signal.isStopRequested, let deadline = queue.withLock(\.deadline) else { return false }
    return MonotonicTime.now >= deadline
  }

  private func sleep(_ time: Duration) {
    _ = Glibc.usleep(UInt32(time / .microseconds(1)))
  }
}
