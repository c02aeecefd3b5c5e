import Bytes
import TestSupport
import Testing

@testable import WebSocketCore

private let text =
  "POST /api/publish/?a=b HTTP/1.1\r\nHost: a:80\r\nContent-Length-Not: 7\r\ncontent-LENGTH: \t25 \r\nAuthorization: Bearer x\r\n\r\n"

private func repeated(_ text: String) -> RepeatedHead? {
  let bytes = Array(text.utf8)
  guard case .complete(let head, let length) = RequestHead.parse(bytes.rawBytes) else { return nil }
  return RepeatedHead(head, bytes.rawBytes.extracting(..<length))
}

extension RepeatedHead {
  fileprivate func read(_ bytes: [UInt8]) -> (length: Int, body: Int)? { read(bytes.rawBytes) }

  fileprivate func knows(_ bytes: [UInt8]) -> Bool { read(bytes) != nil }
}

struct RepeatedHeadTests {
  @Test func `a head is known again, whatever the length of its body`() throws {
    let head = try #require(repeated(text))
    #expect(head.request.fields.map(\.name) == ["host", "content-length-not", "authorization"])
    for digits in ["25", "0", "007", "123456789"] {
      let other = Array((text.replacing("25", with: digits) + "body").utf8)
      let found = head.read(other)
      #expect(found?.length == other.count - 4)
      #expect(found?.body == Int(digits))
    }
    for number in ["1234567890", "", "-1", "2 5", "25,25", "0x19"] {
      #expect(!head.knows(Array(text.replacing("25", with: number).utf8)), "\(number)")
    }
  }

  @Test func `a head that differs in any byte, or is not complete, is not known`() throws {
    let head = try #require(repeated(text))
    let bytes = Array(text.utf8)
    for place in bytes.indices {
      #expect(!head.knows(Array(bytes[..<place])))
      var other = bytes
      other[place] ^= 0x20
      #expect(!head.knows(other), "byte \(place)")
    }
    #expect(!head.knows([]))
  }

  @Test(arguments: [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
    "\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0000000025\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1234567890\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX: \(String(repeating: "x", count: 2048))\r\n\r\n",
  ])
  func `only short heads with a length are kept`(_ text: String) {
    #expect(repeated(text) == nil)
  }

  /// Whatever is changed in a head: if it is known again, it reads as the same request with another length.
  @Test(arguments: ["25", "5", "025", "000000025", "123456789"])
  func `what is known again reads as the same request`(_ digits: String) throws {
    var random = SplitMix(seed: 1)
    let kept = text.replacing("25", with: digits)
    let head = try #require(repeated(kept))
    var known = 0
    for round in 0..<5000 {
      var bytes = Array(kept.utf8)
      if round % 10 == 0 {
        // The number is what may differ.
        bytes = Array(text.replacing("25", with: "\(Int.random(in: 0...9_999_999_999, using: &random))").utf8)
      }
      for _ in 0..<Int.random(in: 0...2, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes[place] = UInt8.random(in: 0x09...0x7E, using: &random)
        case 1: bytes.insert(UInt8.random(in: 0x30...0x39, using: &random), at: place)
        default: bytes.remove(at: place)
        }
      }
      guard let (length, body) = head.read(bytes) else { continue }
      known += 1
      guard case .complete(let other, length) = RequestHead.parse(bytes.rawBytes) else {
        Issue.record("\(bytes) is not a head of \(length) bytes")
        continue
      }
      #expect(try other.bodyFraming() == .length(body))
      var same = other
      same.fields.removeAll { $0.name == "content-length" }
      #expect(same == head.request)
    }
    #expect(known > 100)
  }
}
