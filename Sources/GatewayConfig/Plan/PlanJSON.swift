import JSON

/// A plan for programs. Members are added in later versions, and none is renamed.
struct PlanJSON {
  let plan: Plan

  var json: JSON {
    let head: JSON = ["id": .string(plan.id), "exitCode": .number(plan.exitCode)]
    let whole = head.with(ComparisonJSON(comparison: plan.comparison).json)
      .with(["files": .array(plan.comparison.files.map(\.json))])
    guard plan.clients != nil || plan.refusal != nil else { return whole }
    let running = whole.with([
      "refused": plan.refusal.map(JSON.string) ?? .null,
      "upgradeCloses": plan.bound.map { .number($0) } ?? .null,
    ])
    return plan.clients.map { running.with(["clients": clients($0)]) } ?? running
  }

  private func clients(_ clients: ClientForecast) -> JSON {
    [
      "stay": .number(clients.stays), "change": .number(clients.changes), "move": .number(clients.moves),
      "arriving": .number(clients.arriving),
      "close": .array(
        clients.sortedCloses.map {
          [
            "code": .number(Int($0.end.code)), "reason": .string($0.end.rawValue), "count": .number($0.count),
          ]
        }),
    ]
  }
}

/// The part of it that does not depend on a running gateway.
struct ComparisonJSON {
  let comparison: ConfigurationComparison

  var json: JSON {
    [
      "old": .string(comparison.oldFile), "new": .string(comparison.newFile),
      "needs": .string(comparison.need?.rawValue ?? "nothing"), "proved": .bool(comparison.isComplete),
      "closesSessions": .bool(comparison.closesSessions),
      "routes": .array(comparison.differences.map(route)),
      "sameRoutes": .number(comparison.routes.count { $0.effect == .same }),
      "settings": .array(comparison.settings.map(setting)),
      "withoutEffect": .array(
        comparison.withoutEffect.map {
          ["key": .string($0.key), "value": .string($0.value), "because": .string($0.option)]
        }),
      "looser": .array(comparison.marks.map(mark)),
    ]
  }

  private func route(_ difference: RouteDifference) -> JSON {
    [
      "effect": .string(difference.effect.word), "protocol": .string(difference.kind.key),
      "old": difference.old.map(place) ?? .null, "new": difference.new.map(place) ?? .null,
      "example": text(difference.shownExample), "proved": .bool(difference.isProved),
      "part": .bool(difference.isPart),
      "changes": .array(
        difference.changes.map { ["key": .string($0.key), "old": text($0.old), "new": text($0.new)] }),
      "clients": .array(difference.outcomes.map(outcome)),
    ]
  }

  private func place(_ route: NamedRoute) -> JSON {
    [
      "name": .string(route.name), "route": .string("/" + route.path),
      "path": .string(route.range.file.path), "line": .number(route.range.start.line),
    ]
  }

  private func outcome(_ verdict: ClientVerdict) -> JSON {
    switch verdict {
    case .stays: ["verdict": "stays"]
    case .changes(let keys): ["verdict": "changes", "keys": .array(keys.map(JSON.string))]
    case .closes(let end):
      ["verdict": "closes", "code": .number(Int(end.code)), "reason": .string(end.rawValue)]
    }
  }

  private func setting(_ setting: SettingChange) -> JSON {
    [
      "key": .string(setting.key), "old": .string(setting.old), "new": .string(setting.new),
      "needs": .string(setting.need.rawValue), "blocks": .bool(setting.isBlocking),
    ]
  }

  private func mark(_ mark: SecurityMark) -> JSON {
    [
      "mark": .string(mark.kind.rawValue), "key": .string(mark.key), "protocol": text(mark.protocolName),
      "route": text(mark.route.map { "/" + $0.path }), "example": text(mark.example.map { "/" + $0 }),
      "text": .string(mark.text),
    ]
  }

  private func text(_ text: String?) -> JSON { text.map(JSON.string) ?? .null }
}
