import WebSocketCore

/// A message as it is sent, masked once; of the next one only the stamp is written anew.
///
/// All frames of a reactor share a mask. It is chosen at random for each run, and what is masked is no secret of anybody.
struct PreparedFrame {
  private(set) var bytes: [UInt8] = []
  let payload: [UInt8]
  /// Where the stamp is in `bytes`; nil where the message has none.
  private let stampPlace: Int?
  /// The mask as it falls on the stamp.
  private let mask: UInt64

  init(_ shape: MessageShape, mask: UInt32 = .random(in: 0...(.max))) {
    let (payload, place) = shape.payload
    self.payload = payload
    unsafe ClientFrame.append(shape.kind.opcode, payload.span.bytes, mask: mask, to: &bytes)
    let start = bytes.count - payload.count
    stampPlace = place.map { start + $0 }
    let shift = UInt32((place ?? 0) & 3) * 8
    let turned = shift == 0 ? mask : mask >> shift | mask << (32 - shift)
    self.mask = UInt64(turned) << 32 | UInt64(turned)
  }

  var isStamped: Bool { stampPlace != nil }

  mutating func write(_ stamp: Stamp) {
    guard let stampPlace else { return }
    let words = stamp.words
    let mask = mask
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    for index in 0..<4 {
      raw.storeBytes(
        of: (words[index] ^ mask).littleEndian, toByteOffset: stampPlace + 8 * index, as: UInt64.self)
    }
  }
}
