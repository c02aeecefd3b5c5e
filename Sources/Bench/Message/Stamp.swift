import Bytes

/// Identifies a message for its receiver, and says when it was sent: 32 characters that are the same in text, in JSON and in
/// binary.
///
/// A mark of two characters, then in hexadecimal: run and sender (6 digits), sequence (8), nanoseconds (16).
struct Stamp: Equatable {
  static let length = 32
  /// How far into a message the stamp is searched.
  private static let searched = 512
  /// "~s", the first character lowest.
  private static let mark: UInt64 = 0x737E
  private static let zeros: UInt64 = 0x3030

  static let runs: Range<UInt32> = 0..<4096
  static let senders: Range<UInt32> = 0..<4096

  /// Separates messages of this run from those of another run in the same group.
  var run: UInt32
  var sender: UInt32
  var sequence: UInt32
  var nanoseconds: UInt64

  /// The characters, eight a word, the first one lowest.
  typealias Words = InlineArray<4, UInt64>

  /// The index of the word with the sequence.
  static let sequenceWord = 1

  var words: Words {
    let identity = Hexadecimal.encode(run << 12 | sender)
    return [
      identity & ~0xFFFF | Self.mark, Hexadecimal.encode(sequence),
      Hexadecimal.encode(UInt32(truncatingIfNeeded: nanoseconds >> 32)),
      Hexadecimal.encode(UInt32(truncatingIfNeeded: nanoseconds)),
    ]
  }

  /// Finds the stamp of a message.
  ///
  /// - Parameter place: the offset of the last stamp, which is tried first. A server may have put the text into JSON of its
  ///   own.
  static func find(in payload: RawSpan, place: inout Int) -> Stamp? {
    if let stamp = read(payload, at: place) { return stamp }
    var candidate = 0
    let last = min(payload.byteCount, searched) - length
    while candidate <= last {
      if let stamp = read(payload, at: candidate) {
        place = candidate
        return stamp
      }
      candidate += 1
    }
    return nil
  }

  private static func read(_ payload: RawSpan, at place: Int) -> Stamp? {
    guard place + length <= payload.byteCount else { return nil }
    func word(_ index: Int) -> UInt64 {
      // Every bit pattern is a valid number, and the place is within the bounds.
      UInt64(littleEndian: payload.integer(at: place + 8 * index, as: UInt64.self))
    }
    let first = word(0)
    guard first & 0xFFFF == mark, let identity = Hexadecimal.decode(first & ~0xFFFF | zeros),
      let sequence = Hexadecimal.decode(word(1)), let high = Hexadecimal.decode(word(2)),
      let low = Hexadecimal.decode(word(3))
    else { return nil }
    return Stamp(
      run: identity >> 12, sender: identity & 0xFFF, sequence: sequence,
      nanoseconds: UInt64(high) << 32 | UInt64(low))
  }
}

/// Eight hexadecimal digits as one word, the first one lowest.
enum Hexadecimal {
  /// Converts all digits at once, in some ten instructions.
  static func encode(_ number: UInt32) -> UInt64 {
    var digits = UInt64(number)
    digits = (digits | digits << 16) & 0x0000_FFFF_0000_FFFF
    digits = (digits | digits << 8) & 0x00FF_00FF_00FF_00FF
    digits = (digits | digits << 4) & 0x0F0F_0F0F_0F0F_0F0F
    let letters = (digits &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
    return (digits &+ 0x3030_3030_3030_3030 &+ letters &* 0x27).byteSwapped
  }

  /// - Returns: nil if the word is not a result of `encode`.
  static func decode(_ word: UInt64) -> UInt32? {
    let letters = word >> 6 & 0x0101_0101_0101_0101
    var digits = ((word & 0x0F0F_0F0F_0F0F_0F0F) &+ letters &* 9).byteSwapped & 0x0F0F_0F0F_0F0F_0F0F
    digits = (digits | digits >> 4) & 0x00FF_00FF_00FF_00FF
    digits = (digits | digits >> 8) & 0x0000_FFFF_0000_FFFF
    let number = UInt32(truncatingIfNeeded: digits | digits >> 16)
    return encode(number) == word ? number : nil
  }
}
