import Bytes
import WebSocketCore

/// An encoded message: a frame, masked once, or a request with its head. For each next message only the stamp is written anew.
///
/// All frames of a reactor share a mask. It is chosen at random for each run, and the payloads are not secret. A class with its
/// own memory, so that access takes no reference counting.
@safe final class PreparedMessage {
  let payload: [UInt8]
  private let encoded: UnsafeMutableRawBufferPointer
  /// The offset of the stamp in the payload; nil if the message has none.
  private let stampPlace: Int?
  /// The offset of the payload in what is encoded.
  private let start: Int
  /// The mask, rotated to the place of the stamp; 0 in a request.
  private let mask: UInt64

  /// A frame.
  convenience init(_ shape: MessageShape, mask: UInt32 = .random(in: 0...(.max))) {
    let (payload, place) = shape.payload
    var bytes: [UInt8] = []
    ClientFrame.append(shape.kind.opcode, payload.rawBytes, mask: mask, to: &bytes)
    let shift = UInt32((place ?? 0) & 3) * 8
    let turned = shift == 0 ? mask : mask >> shift | mask << (32 - shift)
    self.init(bytes, payload, stampPlace: place, mask: UInt64(turned) << 32 | UInt64(turned))
  }

  /// The body of a request.
  convenience init(_ shape: MessageShape, behind head: (_ length: Int) -> [UInt8]) {
    let (payload, place) = shape.payload
    self.init(head(payload.count) + payload, payload, stampPlace: place, mask: 0)
  }

  private init(_ bytes: [UInt8], _ payload: [UInt8], stampPlace: Int?, mask: UInt64) {
    self.payload = payload
    self.stampPlace = stampPlace
    self.mask = mask
    start = bytes.count - payload.count
    unsafe encoded = .allocate(byteCount: bytes.count, alignment: 16)
    unsafe encoded.copyBytes(from: bytes)
  }

  deinit {
    unsafe encoded.deallocate()
  }

  var isStamped: Bool { stampPlace != nil }

  /// All that is sent, without a copy.
  func withBytes(_ body: (RawSpan) -> Void) {
    body(unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(encoded)))
  }

  /// - Parameter words: of a stamp.
  func write(_ words: Stamp.Words) {
    guard let stampPlace else { return }
    for index in 0..<4 {
      unsafe encoded.storeBytes(
        of: (words[index] ^ mask).littleEndian, toByteOffset: start + stampPlace + 8 * index, as: UInt64.self)
    }
  }

  /// Whether a payload has the length of this one, and a stamp with these words at the same place.
  func isAlike(_ payload: RawSpan, _ words: Stamp.Words) -> Bool {
    guard payload.byteCount == self.payload.count, let stampPlace else { return false }
    var difference: UInt64 = 0
    for index in 0..<4 {
      // Every bit pattern is a valid number, and the stamp is within the payload.
      let word = unsafe payload.unsafeLoadUnaligned(
        fromUncheckedByteOffset: stampPlace &+ 8 &* index, as: UInt64.self)
      difference |= UInt64(littleEndian: word) ^ words[index]
    }
    return difference == 0
  }

  /// Whether a payload is completely equal, with a stamp of these words in it.
  func isWhole(_ payload: RawSpan, _ words: Stamp.Words?) -> Bool {
    var expected = self.payload
    if let words, let stampPlace {
      var raw = expected.mutableRawBytes
      for index in 0..<4 {
        raw.storeBytes(of: words[index].littleEndian, toByteOffset: stampPlace + 8 * index, as: UInt64.self)
      }
    }
    return [UInt8](copying: payload) == expected
  }
}
