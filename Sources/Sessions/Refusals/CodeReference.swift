import GatewayConfig
import Logging
import WebSocketCore

/// The reference of the statuses and close codes: tables for the manual, and text for a terminal.
package enum CodeReference {
  fileprivate struct Row {
    var code: String
    /// The code of the close frame in place of the status.
    var closeCode: String?
    /// What the client is told.
    var text = ""
    var meaning: String
    var reconnecting: Reconnecting?
    var level: Logger.Level?
  }

  fileprivate struct Section {
    var title: String
    var head: [String]
    var rows: [Row]
  }

  private static var sections: [Section] {
    let refusals = Refusal.all.sorted { ($0.status ?? 1000) < ($1.status ?? 1000) }
    let reasons = (CloseReason.all + CloseReason.foreign).sorted { $0.code.rawValue < $1.code.rawValue }
    return [
      Section(
        title: "Refusals", head: ["status", "`close`", "text", "when", "again?", "log"],
        rows: refusals.map(Row.init)),
      Section(
        title: "Close codes", head: ["code", "reason", "when", "should a client reconnect?", "log"],
        rows: [ownCode] + reasons.map(Row.init) + [others]),
    ]
  }

  private static let ownCode = Row(
    code: "1000 and the client's own codes", meaning: "The client closed. Its code is sent back.")

  private static let others = Row(
    code: "others", meaning: "What the upstream of a `proxy` route, or an event `websocket.close`, said.",
    reconnecting: .asApplication)

  // MARK: - For the manual

  /// Both tables, each under its heading.
  package static var markdown: String {
    sections.map { section in
      let rule = "|" + String(repeating: "---|", count: section.head.count)
      let lines = [line(section.head), rule] + section.rows.map { line($0.cells) }
      return "## \(section.title)\n\n" + lines.joined(separator: "\n") + "\n"
    }.joined(separator: "\n")
  }

  private static func line(_ cells: [String]) -> String {
    "| " + cells.map { $0.isEmpty ? "" : $0 + " " }.joined(separator: "| ") + "|"
  }

  // MARK: - For a terminal

  /// Everything about a status or a close code, or about all of them.
  ///
  /// - Returns: nil if there is no such code.
  package static func text(of code: String?) -> String? {
    let parts = sections.compactMap { section -> String? in
      let rows = section.rows.filter { code == nil || $0.code == code }
      return rows.isEmpty ? nil : section.title + "\n" + rows.map(\.description).joined()
    }
    guard parts.isEmpty else { return parts.joined(separator: "\n") }
    return code.flatMap(UInt16.init).flatMap(text(ofOther:))
  }

  /// Of a close code that the gateway does not send by itself.
  private static func text(ofOther code: UInt16) -> String? {
    let row: Row
    switch code {
    case 1000: row = ownCode
    case 1006: row = noCode
    default:
      guard CloseCode(rawValue: code).isValidOnWire else { return nil }
      row = others
    }
    var named = row
    named.code = "\(code)"
    return "Close codes\n" + named.description
  }

  /// What a page sees where the connection ended without a close frame (RFC 6455 section 7.1.5).
  private static let noCode = Row(
    code: "1006",
    meaning:
      "Nobody sends this code: a browser reports it when the handshake was refused, or the connection broke. "
      + "See \"My client cannot connect\" in the manual, and the log.",
    reconnecting: .later)
}

extension CodeReference.Row {
  init(_ refusal: Refusal) {
    let isOfHandshake = Refusal.ofHandshakes.contains(refusal)
    let closeCode = refusal.status == nil ? "by the status" : "\(refusal.closeReason.code.rawValue)"
    self.init(
      code: refusal.status.map(String.init) ?? "any", closeCode: isOfHandshake ? closeCode : "",
      text: refusal.text, meaning: refusal.meaning,
      reconnecting: refusal.reconnecting, level: refusal.level)
  }

  init(_ reason: CloseReason) {
    self.init(
      code: "\(reason.code.rawValue)", text: reason.text, meaning: reason.meaning,
      reconnecting: reason.reconnecting, level: reason.level)
  }

  /// In Markdown.
  var cells: [String] {
    [code] + (closeCode.map { [$0] } ?? [])
      + [text.isEmpty ? "" : "`\(text)`", meaning, reconnecting?.rawValue ?? "", level?.rawValue ?? ""]
  }

  var description: String {
    let close = closeCode.flatMap { $0.isEmpty ? nil : " With refusals: close: \($0)." } ?? ""
    let again = reconnecting.map { " Reconnect: \($0.rawValue)." } ?? ""
    let log = level.map { " Log: \($0)." } ?? ""
    return "  \(code)  \(text)\n       \(meaning.plain)\(close)\(again)\(log)\n"
  }
}
