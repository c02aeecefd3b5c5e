import WebSocketCore

/// A message as it is sent, masked once; of the next one only the stamp is written anew.
///
/// All frames of a reactor share a mask. It is chosen at random for each run, and what is masked is no secret of anybody.
/// A class with memory of its own, so that looking into it counts no references.
@safe final class PreparedFrame {
  let payload: [UInt8]
  private let frame: UnsafeMutableRawBufferPointer
  /// Where the stamp is in the payload; nil where the message has none.
  private let stampPlace: Int?
  /// Where the payload is in the frame.
  private let start: Int
  /// The mask as it falls on the stamp.
  private let mask: UInt64

  init(_ shape: MessageShape, mask: UInt32 = .random(in: 0...(.max))) {
    let (payload, place) = shape.payload
    self.payload = payload
    var bytes: [UInt8] = []
    unsafe ClientFrame.append(shape.kind.opcode, payload.span.bytes, mask: mask, to: &bytes)
    unsafe frame = .allocate(byteCount: bytes.count, alignment: 16)
    unsafe frame.copyBytes(from: bytes)
    start = bytes.count - payload.count
    stampPlace = place
    let shift = UInt32((place ?? 0) & 3) * 8
    let turned = shift == 0 ? mask : mask >> shift | mask << (32 - shift)
    self.mask = UInt64(turned) << 32 | UInt64(turned)
  }

  deinit {
    unsafe frame.deallocate()
  }

  var isStamped: Bool { stampPlace != nil }

  /// All of the frame, without a copy.
  func withBytes(_ body: (RawSpan) -> Void) {
    body(unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(frame)))
  }

  func write(_ stamp: Stamp) { write(stamp.words) }

  /// - Parameter words: of a stamp.
  func write(_ words: Stamp.Words) {
    guard let stampPlace else { return }
    for index in 0..<4 {
      unsafe frame.storeBytes(
        of: (words[index] ^ mask).littleEndian, toByteOffset: start + stampPlace + 8 * index, as: UInt64.self)
    }
  }

  /// Whether a payload is as long as this one, and has a stamp of these words where this one has its own.
  func isAlike(_ payload: RawSpan, _ words: Stamp.Words) -> Bool {
    guard payload.byteCount == self.payload.count, let stampPlace else { return false }
    var difference: UInt64 = 0
    for index in 0..<4 {
      // Every bit pattern is a number, and the stamp is within the payload.
      let word = unsafe payload.unsafeLoadUnaligned(
        fromUncheckedByteOffset: stampPlace &+ 8 &* index, as: UInt64.self)
      difference |= UInt64(littleEndian: word) ^ words[index]
    }
    return difference == 0
  }

  /// Whether a payload is the same from the first byte to the last, with a stamp of these words in it.
  func isWhole(_ payload: RawSpan, _ words: Stamp.Words?) -> Bool {
    var expected = self.payload
    if let words, let stampPlace {
      var span = expected.mutableSpan
      var raw = unsafe span.mutableBytes
      for index in 0..<4 {
        raw.storeBytes(
          of: words[index].littleEndian, toByteOffset: stampPlace + 8 * index, as: UInt64.self)
      }
    }
    return [UInt8](copying: payload) == expected
  }
}
