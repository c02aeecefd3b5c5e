import Bytes
package import GatewayConfig
package import JSON
import Sessions
import Transport

extension AdminAnswer {
  /// What has become of a reload.
  init(_ result: ReloadResult) {
    switch result.refusal {
    case nil: self.init(result.json)
    case .findings:
      if let report = result.report {
        self.init(findings: report, renewsCertificates: result.renewsCertificates)
      } else {
        self.init(result.json, status: 422)
      }
    case .notAsPlanned(let id)?:
      self = .refused(409, "not-as-planned", result.sentence, ["plan": .string(id)])
    case .needsUpgrade?: self = .refused(409, "needs-upgrade", result.sentence)
    case .cannot?: self = .refused(409, "cannot", result.sentence)
    case .notServing?: self = .refused(503, "not-serving", result.sentence)
    }
    if result.refusal != nil {
      body = body.with(["certificates_renewed": .bool(result.renewsCertificates)])
    }
  }

  /// A file that is not served because of its errors, as `validate` tells them.
  init(findings report: FindingReport, renewsCertificates: Bool = false) {
    self.init(findings: report.asAnswer, renewsCertificates: renewsCertificates)
  }

  private init(findings: JSON, renewsCertificates: Bool = false) {
    let but = renewsCertificates ? " but the certificates, which were renewed" : ""
    self = .refused(422, "findings", "the file has errors, and nothing has changed\(but)", findings)
  }

  /// Why nothing was upgraded.
  init(_ refusal: UpgradeRefusal) {
    switch refusal.code {
    case .findings: self.init(findings: refusal.findings ?? [:])
    case .notServing: self = .refused(503, refusal.code.rawValue, "\(refusal)")
    case .refused: self = .refused(409, refusal.code.rawValue, "\(refusal)")
    }
  }
}

extension FindingReport {
  /// As `validate` prints it, for programs and for people.
  package var asAnswer: JSON {
    let json = Array(rendered(.json).utf8)
    return [
      "report": (try? JSON.parse(json.rawBytes)) ?? .null, "text": .string(rendered(.text)),
    ]
  }
}

extension [UInt16: Int] {
  /// Counts by close codes: `{"1012": 3}`
  var json: JSON {
    .object(sorted { $0.key < $1.key }.map { JSON.Member(key: "\($0.key)", value: .number($0.value)) })
  }
}

extension ReloadResult {
  fileprivate var sentence: String {
    let reason = refusal.map { "\($0)" } ?? ""
    switch refusal {
    case .needsUpgrade, .cannot:
      return
        "\(reason); nothing has changed\(renewsCertificates ? " but the certificates, which were renewed" : "")"
    case nil, .findings, .notAsPlanned, .notServing:
      return renewsCertificates ? "\(reason); the certificates were renewed all the same" : reason
    }
  }

  fileprivate var json: JSON {
    var json: JSON = [
      "hash": .string(hash), "seconds": .seconds(duration), "stayed": .number(counts.stayed),
      "changed": .number(counts.changed), "arriving": .number(counts.arriving),
      "closed": counts.closed.json,
      "longest_turn_seconds": .seconds(counts.longestTurn), "routes": .array(routes),
      "needs_upgrade": .array(
        needingUpgrade.map {
          ["key": .string($0.key), "served": .string($0.old), "file": .string($0.new)]
        }),
      "without_effect": .array(
        withoutEffect.map {
          ["key": .string($0.key), "file": .string($0.value), "because": .string($0.option)]
        }),
    ]
    if let report, !report.findings.isEmpty {
      json = json.with(report.asAnswer)
    }
    return json
  }

  /// The clients that were not left as they are, by their routes.
  private var routes: [JSON] {
    let rows: [(route: String, outcome: String, count: Int)] = counts.outcomes.compactMap { outcome, count in
      switch outcome.verdict {
      case .stays: nil
      case .changes(let keys): (outcome.route, "changes \(keys.joined(separator: ", "))", count)
      case .closes(let end): (outcome.route, "closes \(end.code): \(end.rawValue)", count)
      }
    }
    return rows.sorted { ($0.route, $0.outcome) < ($1.route, $1.outcome) }.map { row in
      [
        "route": .string(row.route), "outcome": .string(row.outcome), "sessions": .number(row.count),
      ]
    }
  }
}

extension ClientForecast {
  init(_ counts: ExchangeCounts) {
    var closes: [ClientEnd: Int] = [:]
    var moves = 0
    for (outcome, count) in counts.outcomes {
      if case .closes(let end) = outcome.verdict {
        closes[end, default: 0] += count
      } else if outcome.newRoute != nil {
        moves += count
      }
    }
    self.init(
      stays: counts.stayed, changes: counts.changed, moves: moves, closes: closes,
      arriving: counts.arriving)
  }
}
