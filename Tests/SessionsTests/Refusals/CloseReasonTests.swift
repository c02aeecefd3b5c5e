import Foundation
import GatewayConfig
import Logging
import Testing
import Transport
import WebSocketCore

@testable import Sessions

struct CloseReasonTests {
  static let all: [CloseReason] = [
    .restart(code: .serviceRestart), .restart(code: .goingAway), .slowReader, .inputOverLimit, .pingTimeout,
  ]

  @Test(arguments: all)
  func `a client that is closed for the gateway's sake comes again as it is`(_ reason: CloseReason) {
    #expect(reason.reconnecting.isUnchanged)
  }

  @Test(arguments: all + CloseReason.all)
  func `a close of ours fits into a control frame and may be sent`(_ reason: CloseReason) {
    #expect(reason.code.isValidOnWire)
    #expect((1...123).contains(reason.text.utf8.count))
  }

  @Test func `a client that nothing would help is told so`() {
    let final: [CloseReason] = [
      .notAllowed, .disconnected.saying("bye"), .notAuthenticated.saying("why"), .tokenExpired,
    ]
    #expect(final.allSatisfy { !$0.reconnecting.isUnchanged })
    #expect(CloseReason.disconnected.saying("bye").text == "bye")
    #expect(CloseReason.notAuthenticated.saying("why").code.rawValue == 4401)
  }

  @Test func `the reasons of one code advise the same`() {
    for reasons in Dictionary(grouping: CloseReason.all + CloseReason.foreign, by: \.code).values {
      #expect(Set(reasons.map(\.reconnecting)).count == 1, "\(reasons[0].code)")
    }
  }

  @Test(arguments: ProtocolViolation.allCases)
  func `the code of a violation is in the table, and is final`(_ violation: ProtocolViolation) {
    let row = CloseReason.all.first { $0.code == violation.closeCode }
    #expect(row?.reconnecting == .no)
  }
}

struct RefusalTableTests {
  /// How many rows a file declares.
  private func rows(of type: String, in file: String) throws -> Int {
    let sources = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../../Sources/Sessions/Refusals")
    let text = try String(contentsOf: sources.appending(path: file), encoding: .utf8)
    return text.components(separatedBy: " = \(type)(").count - 1
  }

  @Test func `every row that is declared is in the table, once`() throws {
    #expect(try rows(of: "Refusal", in: "Refusal+Table.swift") == Refusal.all.count)
    #expect(Set(Refusal.all.map { "\($0.status ?? 0) \($0.text)" }).count == Refusal.all.count)
    #expect(try rows(of: "CloseReason", in: "CloseReason.swift") == CloseReason.all.count)
    #expect(Set(CloseReason.all.map(\.meaning)).count == CloseReason.all.count)
  }

  @Test func `a refusal by a call-back has a row for each of its statuses`() {
    let rows: [Refusal] = [.refusedByCallback, .forbiddenByCallback, .notFoundByCallback]
    #expect(rows.map(\.status) == [401, 403, 404])
    #expect(rows.map(\.reconnecting) == [.withNewToken, .no, .no])
  }

  @Test func `every row says in a sentence when it applies`() {
    for meaning in Refusal.all.map(\.meaning) + (CloseReason.all + CloseReason.foreign).map(\.meaning) {
      #expect(meaning.hasSuffix(".") || meaning.hasSuffix(".)"), "\(meaning)")
      #expect(!meaning.contains("|"))
    }
  }

  @Test func `a code is told of with its text and its meaning`() throws {
    let text = try #require(CodeReference.text(of: "1014"))
    #expect(
      text == """
        Close codes
          1014  the connection to the upstream was lost
               The upstream of a proxy route went away without a close frame, or broke the protocol. Reconnect: yes. Log: warning.

        """)
    #expect(CodeReference.text(of: "1005") == nil)
  }
}
