import JSON
import Routing
import WebSocketCore

@testable import GatewayConfig
@testable import Sessions

extension ViewRecord {
  /// A session of anna in `chat_7`.
  static func sample(state: [UInt8]? = nil) -> ViewRecord {
    ViewRecord(
      address: "sluice.abc!1", route: "ws/chat/<int:room>/", target: "/ws/chat/7/?a=1", path: "/ws/chat/7/",
      query: "a=1", captures: Captures([.init(name: "room", value: "7")]), host: "site.example",
      client: "192.0.2.7", isSecure: true, user: "anna", claims: ["role": "admin"], groups: ["chat_7"],
      state: state, since: 1_700_000_000)
  }

  /// A session of nobody in no group.
  static func anonymous() -> ViewRecord {
    ViewRecord(
      address: "sluice.abc!2", route: "rpc/", target: "/rpc/", path: "/rpc/", query: "", captures: Captures(),
      host: "", client: "192.0.2.8", isSecure: false, user: nil, claims: nil, groups: [],
      since: 1_700_000_000)
  }
}

extension ViewQuestion {
  static func asking(_ event: Event, _ session: ViewRecord = .sample()) -> ViewQuestion {
    ViewQuestion(id: "f00d-1", event: event, session: session)
  }

  static let receive = asking(
    .receive([
      Message(number: 1, payload: .text(Array("one".utf8))), Message(number: 2, payload: .bytes([0, 255])),
    ]))
  static let connect = asking(.connect(ConnectDetails(subprotocols: ["v1", "v2"]), isAgain: false))
  static let disconnect = asking(.disconnect(SessionEnd(code: 1006, reason: "", duration: 2.5)))
  static let check = ViewQuestion(id: "f00d-2", event: .check, place: .init(route: "rpc/", target: "/rpc/"))
}

extension UpstreamConfiguration {
  static func view(port: Int = 8001) -> UpstreamConfiguration {
    UpstreamConfiguration(scheme: .http, host: "127.0.0.1", port: port)
  }
}

extension QuestionConfiguration {
  static func view(port: Int = 8001) -> QuestionConfiguration {
    QuestionConfiguration(url: .view(port: port), headers: ["cookie"])
  }
}
