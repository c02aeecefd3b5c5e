import Bytes
import GatewayConfig
import JSON

/// `POST /reload`
struct ReloadOrder: Sendable, Hashable {
  /// Undoes the last reload, instead of reading the file.
  var isPrevious = false
  /// Of a plan that was made before; the reload is refused where it has become another one.
  var plan: String?

  init(reading request: AdminRequest) throws(AdminOrderFault) {
    let body = try AdminOrderBody(request, ["previous", "plan"])
    isPrevious = try body.truth("previous") ?? false
    plan = try body.text("plan")
    if isPrevious, plan != nil {
      throw AdminOrderFault(description: "\"previous\" and \"plan\" cannot be used together")
    }
    if let plan, let fault = Plan.fault(ofID: plan) {
      throw AdminOrderFault(description: "\"\(plan.printable)\" \(fault)")
    }
  }

  init(isPrevious: Bool = false, plan: String? = nil) {
    self.isPrevious = isPrevious
    self.plan = plan
  }
}

/// `POST /plan`
struct PlanOrder: Sendable, Hashable {
  /// The absolute path of another file than the one that is served.
  var file: String?

  init(reading request: AdminRequest) throws(AdminOrderFault) {
    let body = try AdminOrderBody(request, ["file"])
    file = try body.text("file")
    if let file, !file.hasPrefix("/") {
      throw AdminOrderFault(description: "\"file\" is an absolute path")
    }
  }

  init(file: String? = nil) {
    self.file = file
  }
}

/// `POST /config`
struct ConfigOrder: Sendable, Hashable {
  /// Whether the keys that stand in no file are shown, too.
  var defaults = false

  init(reading request: AdminRequest) throws(AdminOrderFault) {
    defaults = try AdminOrderBody(request, ["defaults"]).truth("defaults") ?? false
  }
}

/// `POST /drain`
struct DrainOrder: Sendable, Hashable {
  /// The time in which sessions are closed; nil for `shutdown.grace`.
  var grace: Duration?

  init(reading request: AdminRequest) throws(AdminOrderFault) {
    guard let text = try AdminOrderBody(request, ["grace"]).text("grace") else { return }
    guard let grace = Duration(written: text, in: ShutdownConfiguration.graces) else {
      throw AdminOrderFault(
        description:
          "\"grace\" is a time from 0s to \(ShutdownConfiguration.graces.upperBound.written), such as \"30s\""
      )
    }
    self.grace = grace
  }

  init(grace: Duration? = nil) {
    self.grace = grace
  }
}

/// `POST /upgrade`
struct UpgradeRequest: Sendable, Hashable {
  /// The absolute path of the program; nil for the one that this process executes.
  var binary: String?

  init(reading request: AdminRequest) throws(AdminOrderFault) {
    binary = try AdminOrderBody(request, ["binary"]).text("binary")
    if let binary, !binary.hasPrefix("/") {
      throw AdminOrderFault(description: "\"binary\" is an absolute path")
    }
  }

  init(binary: String? = nil) {
    self.binary = binary
  }
}

/// Why a request is not understood, in a sentence.
struct AdminOrderFault: Error, CustomStringConvertible {
  var description: String
}

/// The body of a request: nothing, or an object with keys that are known.
private struct AdminOrderBody {
  private var object: JSON = [:]

  init(_ request: AdminRequest, _ known: [String]) throws(AdminOrderFault) {
    guard !request.body.isEmpty else { return }
    do {
      object = try JSON.parse(request.body.rawBytes, depth: 4, values: 64)
    } catch {
      throw AdminOrderFault(description: "the body is \(error)")
    }
    guard case .object(let members) = object else {
      throw AdminOrderFault(description: "the body is a JSON object")
    }
    if let stranger = members.first(where: { !known.contains($0.key) }) {
      throw AdminOrderFault(
        description: "unknown key \"\(stranger.key.printable)\"; known here: \(known.joined(separator: ", "))"
      )
    }
  }

  func text(_ key: String) throws(AdminOrderFault) -> String? {
    switch object[key] {
    case nil, .null: return nil
    case .string(let text):
      // The system would take a path to end at a NUL, and a line of the log shows nothing of the others.
      guard !text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
        throw AdminOrderFault(description: "\"\(key)\" has a control character: \(text.printable)")
      }
      return text
    default: throw AdminOrderFault(description: "\"\(key)\" is a text")
    }
  }

  func truth(_ key: String) throws(AdminOrderFault) -> Bool? {
    switch object[key] {
    case nil, .null: return nil
    case .bool(let truth): return truth
    default: throw AdminOrderFault(description: "\"\(key)\" is true or false")
    }
  }
}
