import Bytes
import GatewayConfig

/// What `explain` says of `connect`, `receive` and `deliver` of a route.
struct ExplainedRules {
  let groups: GroupConfiguration

  var text: String {
    var lines: [(name: String, text: String)] = []
    switch groups.greetings.count {
    case 0: break
    case 1: lines.append(("connect", "one frame to who comes"))
    case let count: lines.append(("connect", "\(count) frames to who comes"))
    }
    if let receive = groups.receive { lines.append(("receive", Self.text(of: receive))) }
    let deliveries = groups.deliveries.sorted { $0.key < $1.key }
    if !deliveries.isEmpty {
      lines.append(
        ("deliver", deliveries.map { "\($0.key): \(Self.text(of: $0.value))" }.joined(separator: "; ")))
    }
    return lines.map { "\($0.name)    \($0.text.printable)\n" }.joined()
  }

  private static func text(of receive: ReceiveConfiguration) -> String {
    let kinds = receive.kinds.sorted { $0.key < $1.key }.map { "\($0.key): \(text(of: $0.value))" }
    let by = receive.by.map { ["by \($0)"] } ?? []
    return (by + kinds + ["else: \(text(of: receive.otherwise))"]).joined(separator: "; ")
  }

  private static func text(of action: ReceiveAction) -> String {
    switch action {
    case .reply: "reply"
    case .event(let event):
      "event \(event.type)" + (event.isToOthers ? " to others" : "") + (event.isEphemeral ? ", not kept" : "")
    case .publish: "publish"
    case .ask: "ask"
    case .drop: "drop"
    case .error: "error"
    }
  }

  private static func text(of rule: DeliveryRule) -> String {
    var parts: [String] = []
    switch rule.recipients {
    case .all: break
    case .others: parts.append("to others")
    case .user(let template): parts.append("to the user \(template.filled { "{\($0)}" })")
    }
    if let text = rule.text { parts.append("as the text \"\(text.filled { "{\($0)}" })\"") }
    if let closing = rule.closing { parts.append("then closed with \(closing.code)") }
    return parts.isEmpty ? "as it is" : parts.joined(separator: ", ")
  }
}
