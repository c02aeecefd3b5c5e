import TestSupport
import Testing

@testable import Bytes

/// How many bytes pass before the first that cannot belong to UTF-8; nil where all do.
private func firstFault(_ bytes: [UInt8]) -> Int? {
  var validator = UTF8Validator()
  return bytes.indices.first { !validator.check([bytes[$0]].rawBytes) }
}

private func isAccepted(_ pieces: [[UInt8]]) -> Bool {
  var validator = UTF8Validator()
  return pieces.allSatisfy { validator.check($0.rawBytes) } && validator.isComplete
}

struct UTF8ValidatorTests {
  static let faults: [([UInt8], Int)] = [
    ([0x80], 0),
    ([0xC0, 0xAF], 0),
    ([0xC1, 0xBF], 0),
    ([0xE0, 0x9F, 0xBF], 1),
    ([0xED, 0xA0, 0x80], 1),
    ([0xF0, 0x8F, 0xBF, 0xBF], 1),
    ([0xF4, 0x90, 0x80, 0x80], 1),
    ([0xF5], 0),
    ([0xFF], 0),
    ([0xE2, 0x82, 0x41], 2),
    ([0xF0, 0x9F, 0x98, 0xC0], 3),
    ([0x41, 0xC3, 0x41], 2),
  ]

  @Test(arguments: faults)
  func `the first byte that cannot go on is the fault`(_ row: ([UInt8], Int)) {
    #expect(firstFault(row.0) == row.1)
    #expect(!isAccepted([row.0]))
  }

  @Test func `all characters pass, and the surrogates do not`() {
    for value: UInt32 in 0...0x10FFFF {
      guard let scalar = Unicode.Scalar(value) else { continue }
      let isWhole = isAccepted([Array(String(scalar).utf8)])
      guard isWhole else {
        Issue.record("U+\(String(value, radix: 16)) is refused")
        return
      }
    }
    for value: UInt32 in 0xD800...0xDFFF {
      let bytes = [0xED, UInt8(0x80 | (value >> 6 & 0x3F)), UInt8(0x80 | (value & 0x3F))]
      #expect(!isAccepted([bytes]))
    }
  }

  @Test func `the verdict is the standard library's, whatever the cuts`() {
    var generator = SplitMix(seed: 21)
    let alphabet: [UInt8] = [
      0x41, 0x41, 0x41, 0x7F, 0x80, 0xBF, 0xC3, 0xA9, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0x98,
    ]
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 0...24, using: &generator)).map { _ in
        alphabet.randomElement(using: &generator) ?? 0
      }
      let isValid = String(validating: bytes, as: UTF8.self) != nil
      let cut = Int.random(in: 0...bytes.count, using: &generator)
      #expect(isAccepted([bytes]) == isValid)
      #expect(isAccepted([Array(bytes[..<cut]), Array(bytes[cut...])]) == isValid)
    }
  }
}

struct UTF8LeadTests {
  @Test func `a first byte tells the length and the range of the second`() {
    for byte in UInt8.min...UInt8.max {
      // The standard library is asked for every second byte.
      let seconds = (UInt8.min...UInt8.max).filter { second in
        let rest: [UInt8] = byte >= 0xF0 ? [0x80, 0x80] : byte >= 0xE0 ? [0x80] : []
        return String(validating: [byte, second] + rest, as: UTF8.self) != nil
      }
      guard byte >= 0x80 else {
        #expect(UTF8Lead(byte)?.length == 1)
        continue
      }
      let lead = UTF8Lead(byte)
      #expect(lead.map { Array($0.lowest...$0.highest) } ?? [] == seconds)
      #expect(
        lead.map { Int($0.length) } == (seconds.isEmpty ? nil : byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2))
    }
  }

  @Test func `characters are counted by their first bytes`() {
    #expect("aé€😀".utf8.characterCount == 4)
    #expect(Array("é".utf8).map(\.continuesCharacter) == [false, true])
  }
}
