import Bytes
internal import CZlib

/// Decompresses the payloads of messages (RFC 7692 section 7.2.2).
///
/// Confined to one thread. Without a kept context, one inflater serves any number of sessions. It allocates its memory at the
/// first message: the window and 7 KiB.
@safe public final class Inflater {
  package let windowBits: Int
  package let context: ContextTakeover
  private let scratch: Scratch
  private var stream: UnsafeMutablePointer<z_stream>?
  /// What the sender's messages may refer to, until the first message; empty for nothing.
  private var window: [UInt8] = []

  /// - Parameter windowBits: 8 to 15; at least the sender's.
  public init(windowBits: Int, context: ContextTakeover, scratch: Scratch) {
    self.windowBits = windowBits
    self.context = context
    self.scratch = scratch
  }

  deinit {
    guard let stream = unsafe stream else { return }
    _ = unsafe inflateEnd(stream)
    unsafe stream.deallocate()
  }

  /// The memory of a kept context with this window, in bytes, as zconf.h states it.
  public static func contextSize(windowBits: Int) -> Int {
    1 << windowBits + 8 * 1024
  }

  /// The longest compressed payload of a message that does not get smaller: deflate's own worst case.
  static func longestPayload(ofMessage maximum: Int) -> Int {
    maximum + maximum / 8 + maximum / 64 + 64
  }

  /// Calls the body with the decompressed message.
  ///
  /// - Parameter maximum: of the message, in bytes. At most one byte more is decompressed.
  func inflate<Result>(
    _ payload: RawSpan, atMost maximum: Int, _ body: (RawSpan) throws(ProtocolViolation) -> Result
  ) throws(ProtocolViolation) -> Result {
    var output = scratch.take(Self.piece)
    defer { scratch.giveBack(output) }
    let length = try unpack(payload, into: &output, maximum)
    return try body(output.rawBytes.extracting(0..<length))
  }

  /// - Returns: the length of the message. The next message can be decompressed afterwards.
  private func unpack(
    _ payload: RawSpan, into output: inout [UInt8], _ maximum: Int
  ) throws(ProtocolViolation) -> Int {
    let stream = unsafe ready()
    defer { if context == .none { _ = unsafe inflateReset(stream) } }
    var length = 0
    var state = State.inside
    try unsafe read(payload, from: stream, into: &output, &length, &state, maximum)
    // After a final block the sender has left out nothing (section 7.2.3.4).
    if state == .final { return length }
    // Section 7.2.2: the bytes that the sender left out. They hold no data.
    let end = length
    try unsafe read(Self.tail.rawBytes, from: stream, into: &output, &length, &state, maximum)
    guard state != .inside, length == end else { throw .badCompression }
    return length
  }

  /// Where in the sequence of blocks the input ended.
  private enum State {
    case inside
    case betweenBlocks
    /// After a block that is marked as the last one.
    case final
  }

  private static let piece = 16 * 1024
  private static let tail: [UInt8] = [0x00, 0x00, 0xFF, 0xFF]

  /// Decompresses the whole input, into memory that grows with the output.
  private func read(
    _ input: RawSpan, from stream: UnsafeMutablePointer<z_stream>, into output: inout [UInt8],
    _ length: inout Int, _ state: inout State, _ maximum: Int
  ) throws(ProtocolViolation) {
    var done = 0
    while true {
      let room = min(output.count, maximum + 1) - length
      let status = unsafe step(input, &done, stream, &output, &length, room: room)
      guard length <= maximum else { throw .messageTooBig }
      switch status {
      case Z_OK, Z_BUF_ERROR:
        if length == output.count {
          output.append(contentsOf: repeatElement(0, count: min(output.count, maximum + 1 - length)))
        } else if done == input.byteCount {
          // zlib.h: 128 is added directly after the end of a block; the low bits count the unused bits of the last byte.
          state = unsafe stream.pointee.data_type & 0x87 == 128 ? .betweenBlocks : .inside
          return
        }
      case Z_STREAM_END:
        // The next block uses the window of this one.
        _ = unsafe inflateResetKeep(stream)
        state = .final
        if done == input.byteCount { return }
      default:
        throw .badCompression
      }
    }
  }

  private func step(
    _ input: RawSpan, _ done: inout Int, _ stream: UnsafeMutablePointer<z_stream>, _ output: inout [UInt8],
    _ length: inout Int, room: Int
  ) -> Int32 {
    unsafe input.extracting(done..<input.byteCount).withUnsafeBytes { input in
      unsafe output.withUnsafeMutableBufferPointer { output in
        unsafe stream.pointee.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe stream.pointee.avail_in = UInt32(input.count)
        unsafe stream.pointee.next_out = output.baseAddress.unsafelyUnwrapped + length
        unsafe stream.pointee.avail_out = UInt32(room)
        let status = unsafe CZlib.inflate(stream, Z_NO_FLUSH)
        done += unsafe input.count - Int(stream.pointee.avail_in)
        length += unsafe room - Int(stream.pointee.avail_out)
        return status
      }
    }
  }

  private func ready() -> UnsafeMutablePointer<z_stream> {
    if let stream = unsafe stream { return unsafe stream }
    let new = unsafe ContextMemory.makeStream { stream in
      unsafe inflateInit2_(stream, Int32(-windowBits), ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    }
    unsafe stream = new
    if !window.isEmpty {
      _ = unsafe inflateSetDictionary(new, window, UInt32(window.count))
      window = []
    }
    return unsafe new
  }
}

// MARK: - In another process

extension Inflater {
  private static let largestWindow = 32 * 1024

  /// The end of what was decompressed, which later messages may refer to; empty if there is none. Between two messages.
  package var lastBytes: [UInt8] {
    guard context == .kept, let stream = unsafe stream else { return window }
    var length: UInt32 = 0
    return unsafe [UInt8](unsafeUninitializedCapacity: Self.largestWindow) { bytes, count in
      let status = unsafe inflateGetDictionary(stream, bytes.baseAddress, &length)
      count = status == Z_OK ? Int(length) : 0
    }
  }

  /// Takes what another inflater had as its last bytes, before the first message. It takes effect, and its memory, with that message.
  package func resume(behind bytes: [UInt8]) {
    if context == .kept { window = bytes.suffix(Self.largestWindow) }
  }
}
