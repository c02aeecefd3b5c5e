import Testing

@testable import WebSocketCore

struct CloseCodeTests {
  @Test func `the codes that may be sent are those of section 7_4 and the registry`() {
    let valid = (0...UInt16.max).filter { CloseCode(rawValue: $0).isValidOnWire }
    #expect(valid == Array(1000...1003) + Array(1007...1014) + Array(3000...4999))
  }
}

struct ProtocolViolationTests {
  @Test func `each violation has the code of section 7_4_1`() {
    let codes = Dictionary(uniqueKeysWithValues: ProtocolViolation.allCases.map { ($0, $0.closeCode) })
    let others: [ProtocolViolation: CloseCode] = [
      .invalidUTF8: .invalidData, .badCompression: .invalidData, .messageTooBig: .messageTooBig,
    ]
    for (violation, code) in codes {
      #expect(code == others[violation, default: .protocolError])
    }
  }

  @Test(arguments: ProtocolViolation.allCases)
  func `a violation's text fits into a close frame`(_ violation: ProtocolViolation) {
    #expect((1...123).contains(violation.description.utf8.count))
  }
}
