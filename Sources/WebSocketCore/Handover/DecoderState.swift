public import Bytes

/// Where a decoder stands between two reads, for one that goes on in another process.
public struct DecoderState: Sendable, Recorded, Equatable {
  /// The bytes of a header that is not complete.
  var header: [UInt8] = []
  var frame: Frame?
  var fragmented: MessageKind?
  var isCompressed = false
  var message: [UInt8] = []
  var control: [UInt8] = []
  /// `UTF8Validator.state`; empty for one that has nothing to go on with.
  var utf8: [UInt8] = []
  var hasEnded = false

  struct Frame: Sendable, Recorded, Equatable {
    var opcode = Opcode.text
    var isFinal = false
    var mask: UInt32 = 0
    var done = 0
    var left = 0

    init(_ frame: MessageDecoder.Frame) {
      (opcode, isFinal, mask) = (frame.opcode, frame.isFinal, frame.mask)
      (done, left) = (frame.done, frame.left)
    }

    init(from record: inout RecordReader) throws(RecordedFault) {
      while let field = try record.next() {
        switch field.number {
        case 1: opcode = try field.choice()
        case 2: isFinal = try field.flag()
        case 3: mask = try field.integer()
        case 4: done = try field.integer(in: 0...(1 << 62))
        case 5: left = try field.integer(in: 0...(1 << 62))
        default: break
        }
      }
      guard !opcode.isControl || done + left <= 125 else {
        throw RecordedFault("a control frame is too long")
      }
    }

    func write(to record: inout RecordWriter) {
      record.addAlways(1, UInt64(opcode.rawValue))
      record.add(2, isFinal)
      record.add(3, UInt64(mask))
      record.add(4, done)
      record.add(5, left)
    }
  }

  init(_ decoder: MessageDecoder) {
    header = (0..<decoder.header.count).map { decoder.header[$0] }
    frame = decoder.frame.map(Frame.init)
    (fragmented, isCompressed) = (decoder.fragmented, decoder.isCompressed)
    (message, control, hasEnded) = (decoder.message, decoder.control, decoder.hasEnded)
    if !decoder.utf8.isComplete { utf8 = decoder.utf8.state }
  }

  /// Whether the decoder is between two messages, so that one that begins anew goes on just as well.
  public var isIdle: Bool {
    header.isEmpty && frame == nil && fragmented == nil && !hasEnded
  }

  public init(from record: inout RecordReader) throws(RecordedFault) {
    while let field = try record.next() {
      switch field.number {
      case 1: header = try field.bytes()
      case 2: frame = try field.record()
      case 3: fragmented = try field.unsigned() == 1 ? .text : .binary
      case 4: isCompressed = try field.flag()
      case 5: message = try field.bytes()
      case 6: control = try field.bytes()
      case 7: utf8 = try field.bytes()
      case 8: hasEnded = try field.flag()
      default: break
      }
    }
    guard header.count < HeaderBytes.longest else { throw RecordedFault("a header of a frame is too long") }
    guard control.count <= 125 else { throw RecordedFault("a control frame is too long") }
    guard utf8.isEmpty || UTF8Validator(state: utf8) != nil else {
      throw RecordedFault("a text stands in no place of UTF-8")
    }
  }

  public func write(to record: inout RecordWriter) {
    record.add(1, header)
    if let frame { record.add(2, frame) }
    if let fragmented { record.addAlways(3, fragmented == .text ? 1 : 2) }
    record.add(4, isCompressed)
    record.add(5, message)
    record.add(6, control)
    record.add(7, utf8)
    record.add(8, hasEnded)
  }
}

extension MessageDecoder {
  /// Nil where a decoder that begins anew goes on in the same place.
  package var state: DecoderState? {
    // Most sessions are between two messages.
    guard frame != nil || header.count > 0 || fragmented != nil || hasEnded else { return nil }
    return DecoderState(self)
  }

  /// Goes on where another decoder stood.
  package mutating func resume(_ state: DecoderState) {
    header = HeaderBytes()
    for byte in state.header { header.append(byte) }
    // No decoder keeps a whole header.
    let isWhole = header.isWhole(origin)
    frame = state.frame.map {
      Frame(opcode: $0.opcode, isFinal: $0.isFinal, mask: $0.mask, done: $0.done, left: $0.left)
    }
    (fragmented, isCompressed) = (state.fragmented, state.isCompressed)
    (message, control, hasEnded) = (state.message, state.control, state.hasEnded || isWhole)
    utf8 = UTF8Validator(state: state.utf8) ?? UTF8Validator()
  }
}
