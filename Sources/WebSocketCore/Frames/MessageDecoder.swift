import Bytes

/// The sender of the frames: clients mask their frames, servers do not (RFC 6455 section 5.1).
public enum FrameOrigin: Sendable {
  case client
  case server

  /// The top bit of a frame's second byte.
  fileprivate var maskBit: UInt8 { self == .client ? 0x80 : 0 }
  fileprivate var maskLength: Int { self == .client ? 4 : 0 }
}

/// Decodes the bytes of a peer into messages and control frames (RFC 6455 section 5): bytes in, calls to a sink out.
///
/// Payloads are unmasked in place. A message that is complete in one read is delivered from there, without a copy; only a
/// message that is cut off by the end of a read, or fragmented, is collected as it arrives. A decoder between two messages owns
/// no memory besides itself. With an inflater it accepts compressed messages too (RFC 7692); they are collected and
/// decompressed when they are complete.
public struct MessageDecoder {
  /// After this many bytes of frames the sink is asked whether the decoder may continue: some 300 of the smallest frames, or 30
  /// frames of 64 bytes. The sink is not asked about a shorter read, so that this costs an echo nothing.
  public static let stride = 2048

  package var maximumMessage: Int
  let origin: FrameOrigin
  /// Set if permessage-deflate was negotiated.
  let inflater: Inflater?
  var header = HeaderBytes()
  var frame: Frame?
  /// The kind of the message whose first fragment has arrived.
  var fragmented: MessageKind?
  /// Whether the current message is compressed: the first reserved bit of its first frame.
  var isCompressed = false
  /// The payload of an unfinished message, over all its fragments.
  var message: [UInt8] = []
  /// The payload of an unfinished control frame, which may stand between fragments.
  var control: [UInt8] = []
  var utf8 = UTF8Validator()
  /// The peer sent a close frame or violated the protocol, or the sink answered `stop`.
  var hasEnded = false

  /// A frame whose header was read.
  struct Frame {
    var opcode: Opcode
    var isFinal: Bool
    var mask: UInt32
    /// Payload bytes that are done, and bytes that are still to come.
    var done = 0
    var left: Int
  }

  /// - Parameters:
  ///   - maximumMessage: in bytes, over all fragments and after decompression; a longer message is
  ///     `ProtocolViolation.messageTooBig`.
  ///   - inflater: decompresses messages; without one, compressed messages are a violation.
  public init(maximumMessage: Int, from origin: FrameOrigin = .client, inflater: Inflater? = nil) {
    self.maximumMessage = maximumMessage
    self.origin = origin
    self.inflater = inflater
  }

  /// The memory that is held for an unfinished message or frame, in bytes.
  public var unfinishedBytes: Int { message.capacity + control.capacity }

  /// Frees the unfinished message. Later bytes are ignored.
  public mutating func abandon() {
    message = []
    control = []
    hasEnded = true
  }

  /// Decodes all bytes, whose contents are unmasked in place.
  ///
  /// After the end (a close frame, a violation, or the sink's `stop`) further bytes are ignored.
  ///
  /// - Returns: how many bytes are done: all of them, unless the sink answered `pause` to a message. The next call has to
  ///   begin with the rest, which is unchanged.
  /// - Throws: the violation that ends the connection. The sink has received everything before it.
  @discardableResult
  public mutating func decode<Sink: FrameSink>(
    _ bytes: inout MutableRawSpan, into sink: Sink
  ) throws(ProtocolViolation) -> Int {
    guard !hasEnded else { return bytes.byteCount }
    // A throw leaves it set.
    hasEnded = true
    var position = 0
    let flow = try readFrames(&bytes, &position, into: sink)
    hasEnded = flow == .stop
    return flow == .pause ? position : bytes.byteCount
  }

  private mutating func readFrames<Sink: FrameSink>(
    _ bytes: inout MutableRawSpan, _ position: inout Int, into sink: Sink
  ) throws(ProtocolViolation) -> Flow {
    var next = position + Self.stride
    while true {
      var flow = try readSmallMessages(&bytes, &position, before: next, into: sink)
      guard flow == .proceed, position < bytes.byteCount else { return flow }
      if position >= next {
        guard sink.mayGoOn() else { return .pause }
        next = position + Self.stride
        continue
      }
      if frame == nil {
        guard try readHeader(bytes.bytes, &position) else { return .proceed }
      }
      flow = try readPayload(&bytes, &position, into: sink)
      guard flow == .proceed else { return flow }
    }
  }

  /// A fast path for the usual case: complete messages of up to 125 bytes, in one frame each.
  ///
  /// It stops before anything else and checks only UTF-8, so it changes nothing but the speed: 350 instead of 640 instructions
  /// for 64 bytes of text (callgrind). Not inlined: within its caller it lacks registers, and takes 30 more.
  ///
  /// - Parameter next: the offset at which the sink is to be asked; a message that begins before it is still delivered.
  @inline(never)
  private func readSmallMessages<Sink: FrameSink>(
    _ bytes: inout MutableRawSpan, _ position: inout Int, before next: Int, into sink: Sink
  ) throws(ProtocolViolation) -> Flow {
    guard frame == nil, header.count == 0, fragmented == nil else { return .proceed }
    let maskBit = Int(origin.maskBit)
    let headerLength = 2 &+ origin.maskLength
    let last = min(bytes.byteCount &- headerLength, next &- 1)
    while position <= last {
      let kind: MessageKind
      switch unsafe bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self) {
      case 0x81: kind = .text
      case 0x82: kind = .binary
      default: return .proceed
      }
      // Negative if a required mask is missing. More than 125 if the frame is masked and must not be, or is longer.
      let length =
        Int(unsafe bytes.unsafeLoad(fromUncheckedByteOffset: position &+ 1, as: UInt8.self)) &- maskBit
      let start = position &+ headerLength
      let end = start &+ length
      guard length >= 0, length <= min(125, maximumMessage), end <= bytes.byteCount else { return .proceed }
      // A server's payload is not changed.
      let mask =
        maskBit == 0
        ? 0 : unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position &+ 2, as: UInt32.self)
      let isASCII = Masking.apply(UInt32(littleEndian: mask), to: &bytes, start..<end, from: 0)
      let payload = unsafe bytes.bytes.extracting(unchecked: start..<end)
      if case .text = kind, !isASCII, !UTF8Validator.isValid(payload) { throw .invalidUTF8 }
      position = end
      let flow = sink.message(kind, payload)
      guard flow == .proceed else { return flow }
    }
    return .proceed
  }

  // MARK: - Headers

  /// - Returns: false if the rest of the header has not arrived.
  private mutating func readHeader(
    _ bytes: RawSpan, _ position: inout Int
  ) throws(ProtocolViolation) -> Bool {
    if header.count == 0, bytes.byteCount - position >= HeaderBytes.longest {
      let length = try unsafe beginFrame(bytes.extracting(unchecked: position..<bytes.byteCount))
      position += length
      return true
    }
    // Near the end of a read, or for a header that is cut in two: byte by byte.
    while position < bytes.byteCount {
      header.append(bytes[position])
      position += 1
      if header.isComplete(origin) {
        let complete = header
        header = HeaderBytes()
        _ = try complete.withBytes { (bytes) throws(ProtocolViolation) in try beginFrame(bytes) }
        return true
      }
      // A violation in the first two bytes is reported without waiting for the rest.
      if header.count == 2 { _ = try checkStart(header[0], header[1]) }
    }
    return false
  }

  /// Section 5.2: checks the first two bytes.
  private func checkStart(_ first: UInt8, _ second: UInt8) throws(ProtocolViolation) -> Opcode {
    guard first & 0x30 == 0, first & 0x40 == 0 || inflater != nil else { throw .reservedBits }
    guard let opcode = Opcode(rawValue: first & 0x0F) else { throw .reservedOpcode }
    // RFC 7692 section 6.1: only the first frame of a message may have the bit.
    guard first & 0x40 == 0 || opcode == .text || opcode == .binary else { throw .reservedBits }
    guard second & 0x80 == origin.maskBit else { throw origin == .client ? .unmaskedFrame : .maskedFrame }
    if opcode.isControl {
      guard first & 0x80 != 0 else { throw .fragmentedControlFrame }
      guard second & 0x7F <= 125 else { throw .controlFrameTooLong }
    }
    return opcode
  }

  /// Begins a frame whose header is complete.
  ///
  /// - Returns: the length of the header.
  private mutating func beginFrame(_ bytes: RawSpan) throws(ProtocolViolation) -> Int {
    let opcode = try checkStart(bytes[0], bytes[1])
    var length = UInt64(bytes[1] & 0x7F)
    var offset = 2
    switch length {
    case 126:
      length = UInt64(bytes[2]) << 8 | UInt64(bytes[3])
      guard length > 125 else { throw .badLength }
      offset = 4
    case 127:
      length = UInt64(bigEndian: bytes.integer(at: 2, as: UInt64.self))
      guard length > 0xFFFF, length >> 63 == 0 else { throw .badLength }
      offset = 10
    default: break
    }
    try checkOrder(opcode)
    if opcode == .text || opcode == .binary { isCompressed = bytes[0] & 0x40 != 0 }
    try checkSize(opcode, length: length)
    let mask =
      switch origin {
      case .client: bytes.integer(at: offset, as: UInt32.self)
      case .server: UInt32(0)
      }
    frame = Frame(
      opcode: opcode, isFinal: bytes[0] & 0x80 != 0, mask: UInt32(littleEndian: mask), left: Int(length))
    return offset + origin.maskLength
  }

  /// Section 5.4: the order of the frames of a message.
  private func checkOrder(_ opcode: Opcode) throws(ProtocolViolation) {
    switch opcode {
    case .continuation: guard fragmented != nil else { throw .unexpectedContinuation }
    case .text, .binary: guard fragmented == nil else { throw .unfinishedMessage }
    case .close, .ping, .pong: break
    }
  }

  /// Checks the size of the whole message. A compressed message is checked when it is decompressed.
  private func checkSize(_ opcode: Opcode, length: UInt64) throws(ProtocolViolation) {
    guard !opcode.isControl else { return }
    let maximum = isCompressed ? Inflater.longestPayload(ofMessage: maximumMessage) : maximumMessage
    guard length <= UInt64(max(0, maximum - message.count)) else { throw .messageTooBig }
  }

  // MARK: - Payloads

  private mutating func readPayload<Sink: FrameSink>(
    _ bytes: inout MutableRawSpan, _ position: inout Int, into sink: Sink
  ) throws(ProtocolViolation) -> Flow {
    guard var current = frame else { return .proceed }
    let size = min(current.left, bytes.byteCount - position)
    let part = position..<(position + size)
    let isASCII =
      switch origin {
      case .client: Masking.apply(current.mask, to: &bytes, part, from: current.done)
      // Only the unmasking pass knows.
      case .server: false
      }
    position += size
    let isWhole = current.done == 0 && size == current.left
    current.done += size
    current.left -= size
    frame = current.left == 0 ? nil : current
    let payload = unsafe bytes.bytes.extracting(unchecked: part)
    return current.opcode.isControl
      ? try take(control: current, payload, isWhole: isWhole, into: sink)
      : try take(data: current, payload, isASCII: isASCII, isWhole: isWhole, into: sink)
  }

  private mutating func take<Sink: FrameSink>(
    data frame: Frame, _ payload: RawSpan, isASCII: Bool, isWhole: Bool, into sink: Sink
  ) throws(ProtocolViolation) -> Flow {
    let kind = fragmented ?? (frame.opcode == .text ? .text : .binary)
    let ends = frame.isFinal && frame.left == 0
    if kind == .text, !isCompressed {
      if !(isASCII && utf8.isComplete), !utf8.check(payload) { throw .invalidUTF8 }
      guard !ends || utf8.isComplete else { throw .invalidUTF8 }
    }
    if ends, isWhole, fragmented == nil { return try deliver(kind, payload, to: sink) }
    message.append(copying: payload)
    guard ends else {
      if frame.left == 0 { fragmented = kind }
      return .proceed
    }
    fragmented = nil
    let whole = message
    message = []
    return try deliver(kind, whole.rawBytes, to: sink)
  }

  private func deliver<Sink: FrameSink>(
    _ kind: MessageKind, _ payload: RawSpan, to sink: Sink
  ) throws(ProtocolViolation) -> Flow {
    guard isCompressed, let inflater else { return sink.message(kind, payload) }
    return try inflater.inflate(payload, atMost: maximumMessage) { (message) throws(ProtocolViolation) in
      guard kind == .binary || UTF8Validator.isValid(message) else { throw .invalidUTF8 }
      return sink.message(kind, message)
    }
  }

  private mutating func take<Sink: FrameSink>(
    control frame: Frame, _ payload: RawSpan, isWhole: Bool, into sink: Sink
  ) throws(ProtocolViolation) -> Flow {
    if isWhole { return try deliver(frame.opcode, payload, to: sink) }
    control.append(copying: payload)
    guard frame.left == 0 else { return .proceed }
    let whole = control
    control = []
    return try deliver(frame.opcode, whole.rawBytes, to: sink)
  }

  private func deliver<Sink: FrameSink>(
    _ opcode: Opcode, _ payload: RawSpan, to sink: Sink
  ) throws(ProtocolViolation) -> Flow {
    switch opcode {
    case .ping: return sink.ping(payload)
    case .pong: return sink.pong(payload)
    case .close:
      try deliverClose(payload, to: sink)
      return .stop
    case .continuation, .text, .binary: return .proceed
    }
  }

  /// Section 5.5.1: an empty payload, or a code and a reason in UTF-8.
  ///
  /// No frame may follow, so the sink's answer is ignored.
  private func deliverClose<Sink: FrameSink>(_ payload: RawSpan, to sink: Sink) throws(ProtocolViolation) {
    guard payload.byteCount > 0 else {
      _ = sink.close(nil, payload)
      return
    }
    guard payload.byteCount >= 2 else { throw .badClosePayload }
    let code = CloseCode(rawValue: UInt16(payload[0]) << 8 | UInt16(payload[1]))
    guard code.isValidOnWire else { throw .badClosePayload }
    let reason = payload.extracting(2..<payload.byteCount)
    guard UTF8Validator.isValid(reason) else { throw .invalidUTF8 }
    _ = sink.close(code, reason)
  }
}

/// The first bytes of a frame whose header is not complete.
struct HeaderBytes {
  /// Two bytes, eight of length, four of mask.
  static let longest = 14

  private var bytes = InlineArray<14, UInt8>(repeating: 0)
  private(set) var count = 0

  subscript(index: Int) -> UInt8 { bytes[index] }

  mutating func append(_ byte: UInt8) {
    bytes[count] = byte
    count += 1
  }

  func isComplete(_ origin: FrameOrigin) -> Bool { count >= 2 && count == length(origin) }

  /// Whether nothing is missing.
  func isWhole(_ origin: FrameOrigin) -> Bool { count >= 2 && count >= length(origin) }

  /// The length of the header, from its first two bytes.
  private func length(_ origin: FrameOrigin) -> Int {
    switch bytes[1] & 0x7F {
    case 126: 4 + origin.maskLength
    case 127: 10 + origin.maskLength
    default: 2 + origin.maskLength
    }
  }

  func withBytes<Result>(
    _ body: (RawSpan) throws(ProtocolViolation) -> Result
  ) throws(ProtocolViolation) -> Result {
    try unsafe body(bytes.span.bytes)
  }
}
