import Bytes
internal import CZlib

/// Compresses the payloads of messages (RFC 7692 section 7.2.1).
///
/// Confined to one thread. Without a kept context, one deflater serves any number of sessions. It allocates its memory at the
/// first message.
@safe public final class Deflater {
  /// How many messages were compressed, for tests and metrics.
  public private(set) var messages: UInt64 = 0

  package let windowBits: Int
  private let level: Int
  private let threshold: Int
  package let context: ContextTakeover
  private let scratch: Scratch
  private var stream: UnsafeMutablePointer<z_stream>?

  /// - Parameters:
  ///   - windowBits: 9 to 15.
  ///   - level: 1, the fastest, to 9.
  ///   - threshold: messages shorter than this, in bytes, are not compressed.
  public init(windowBits: Int, level: Int, threshold: Int, context: ContextTakeover, scratch: Scratch) {
    self.windowBits = windowBits
    self.level = level
    self.threshold = threshold
    self.context = context
    self.scratch = scratch
  }

  deinit {
    guard let stream = unsafe stream else { return }
    _ = unsafe deflateEnd(stream)
    unsafe stream.deallocate()
  }

  /// The memory of a kept context with this window, in bytes, as zconf.h states it.
  public static func contextSize(windowBits: Int) -> Int {
    1 << (windowBits + 2) + 1 << (memoryLevel(windowBits, .kept) + 9) + 8 * 1024
  }

  /// A kept context should be small, so its hash table gets as much memory as the window.
  private static func memoryLevel(_ windowBits: Int, _ context: ContextTakeover) -> Int {
    switch context {
    case .kept: max(1, windowBits - 7)
    case .none: 8
    }
  }

  /// Calls the body with the compressed payload, if compression makes it shorter.
  ///
  /// - Returns: false if the message has to be sent uncompressed: it is too short, or does not get any shorter.
  public func deflate(_ payload: RawSpan, _ body: (RawSpan) -> Void) -> Bool {
    guard payload.byteCount >= threshold else { return false }
    return deflate(payload, atMost: payload.byteCount - 1, body)
  }

  /// - Parameter limit: of the compressed payload. If the result is longer it is discarded, and the next message must not
  ///   refer to this one, which the receiver does not know.
  func deflate(_ payload: RawSpan, atMost limit: Int, _ body: (RawSpan) -> Void) -> Bool {
    guard payload.byteCount > 0 else { return false }
    messages += 1
    let stream = unsafe ready()
    // The flush ends in an empty block that is not sent. One byte more shows whether the flush was complete.
    var output = scratch.take(limit + Self.tail + 1)
    defer { scratch.giveBack(output) }
    let length = unsafe write(payload, to: stream, &output, capacity: limit + Self.tail + 1) - Self.tail
    if length > limit || context == .none { _ = unsafe deflateReset(stream) }
    guard length <= limit else { return false }
    body(output.rawBytes.extracting(0..<length))
    return true
  }

  /// Section 7.2.1: 00 00 FF FF.
  private static let tail = 4

  private func write(
    _ payload: RawSpan, to stream: UnsafeMutablePointer<z_stream>, _ output: inout [UInt8], capacity: Int
  ) -> Int {
    unsafe payload.withUnsafeBytes { input in
      unsafe output.withUnsafeMutableBufferPointer { output in
        unsafe stream.pointee.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe stream.pointee.avail_in = UInt32(input.count)
        unsafe stream.pointee.next_out = output.baseAddress
        unsafe stream.pointee.avail_out = UInt32(capacity)
        // The only possible failure is a lack of room, which shows in the room that is left.
        _ = unsafe CZlib.deflate(stream, Z_SYNC_FLUSH)
        return unsafe capacity - Int(stream.pointee.avail_out)
      }
    }
  }

  private func ready() -> UnsafeMutablePointer<z_stream> {
    if let stream = unsafe stream { return unsafe stream }
    let new = unsafe ContextMemory.makeStream { stream in
      unsafe deflateInit2_(
        stream, Int32(level), Z_DEFLATED, Int32(-windowBits), Int32(Self.memoryLevel(windowBits, context)),
        Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    }
    unsafe stream = new
    return unsafe new
  }
}
