import Transport
import WebSocketCore

extension Measurement {
  package static let percentiles: [(name: String, percent: Double)] = [
    ("p50", 50), ("p90", 90), ("p99", 99), ("p99.9", 99.9),
  ]

  /// The result for people.
  package var text: String {
    var text = "\(load.work.name)  \(url)\n\(summary)\n\n\(table)\n"
    text += row(
      "connections", "\(opened) opened\(pace), \(tally.failed) failed, \(tally.lost) lost\(reopened)")
    if refused > 0 { text += row("refused", refusals) }
    if unanswered > 0 { text += row("unanswered", "\(unanswered) requests") }
    if load.receivers > 0 {
      text += row(
        "integrity",
        "\(tally.publishedInAll) published, \(expected) expected, \(lost) lost, "
          + "\(tally.duplicated) duplicated, \(tally.late) out of order")
    }
    if tally.wrong > 0 { text += row("unexpected", "\(tally.wrong) messages") }
    if let server { text += row("server", server.text(load.work)) }
    text += row("generator", "\(Figure.fixed(generator.used, 0)) % of a processor\(waiting)")
    for sentence in remarks { text += "\n\(sentence)\n" }
    return text
  }

  /// How fast the connections were opened.
  private var pace: String {
    guard let opening, let openedPerSecond else { return "" }
    return " in \(Figure.time(nanoseconds: opening.wholeNanoseconds)) (\(Figure.number(openedPerSecond))/s)"
  }

  private var reopened: String { tally.reopened == 0 ? "" : ", \(tally.reopened) reopened" }

  /// "17 with 503, 2 with 429"
  private var refusals: String {
    let counts = tally.refused.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    return counts.map { "\($0.value) with \($0.key)" }.joined(separator: ", ")
  }

  /// Warnings about the figures.
  package var remarks: [String] {
    var remarks: [String] = []
    if isInterrupted { remarks.append("the run was stopped early: the figures cover the time until then") }
    if let problem, !isGood { remarks.append("first problem: \(problem)") }
    if let silence { remarks.append(silence) }
    if isGeneratorBusy {
      remarks.append(
        "warning: the load generator was busy for \(Figure.fixed(generator.used + generator.waited, 0)) % of the time\(waiting), "
          + "so the server may be faster than this: the figures are a lower bound. Try --threads \(load.threads + 1), or fewer "
          + "connections")
    }
    return remarks
  }

  /// What was waited for, where nothing of it came, and why that may be.
  private var silence: String? {
    if load.receivers > 0, expected > 0, tally.delivered == 0 { return nothingDelivered }
    guard isSilent else { return nil }
    let time = "within \(Figure.fixed(seconds, 2)) s"
    return switch load.work {
    case .echo:
      "nothing came back \(time): a route for this load answers each message with the same message, as `consumer: echo` does"
    case .publish: "no request was answered \(time)"
    case .connect: "no connection was opened \(time)"
    case .idle, .fanOut, .events: nil
    }
  }

  private var nothingDelivered: String {
    let sent = "nothing arrived: \(count(Int(tally.publishedInAll), "message")) published, and none came to"
    let group = "is the group that is published to the one of this route, and on the same channel layer?"
    return switch load.work {
    case .fanOut:
      "\(sent) the subscribers: a route for this load passes on what a client sends to all of its group, as `consumer: broadcast` does, or `consumer: chat` with --json"
    case .events: "\(sent) the streams of \(url): \(group)"
    case .publish: "\(sent) the listeners of \(load.listeners?.target.url ?? url): \(group)"
    case .echo, .connect, .idle: sent
    }
  }

  private var waiting: String {
    generator.waited < 0.5 ? "" : ", and waited for a processor for \(Figure.fixed(generator.waited, 0)) %"
  }

  private var summary: String {
    var parts: [String] =
      switch load.work {
      case .echo(let inFlight): ["\(count(load.connections, "connection")), \(inFlight) in flight", shape]
      case .fanOut(let publishers, .window(let size)):
        ["\(audience(publishers)), window \(size)", shape]
      case .fanOut(let publishers, .rate(let rate)):
        ["\(audience(publishers)), \(Figure.number(rate)) messages/s", shape]
      case .events(let publishers, .window(let size)):
        ["\(count(load.connections, "stream")), \(count(publishers, "publisher")), window \(size)", shape]
      case .events(let publishers, .rate(let rate)):
        [
          "\(count(load.connections, "stream")), \(count(publishers, "publisher")), \(Figure.number(rate)) messages/s",
          shape,
        ]
      case .publish(let inFlight):
        ["\(count(load.connections, "connection")), \(inFlight) in flight", shape]
          + (load.receivers > 0 ? [count(load.receivers, "listener")] : [])
      case .connect: ["\(load.connections) at a time"]
      case .idle: [count(load.connections, "connection")]
      }
    if load.offersCompression { parts.append("compressed") }
    parts.append(count(load.threads, "thread"))
    parts.append("\(Figure.fixed(seconds, 2)) s")
    return parts.joined(separator: ", ")
  }

  private func audience(_ publishers: Int) -> String {
    "\(count(load.connections, "subscriber")), \(count(publishers, "publisher"))"
  }

  private func count(_ number: Int, _ name: String) -> String {
    "\(number) \(name)\(number == 1 ? "" : "s")"
  }

  private var shape: String {
    "\(count(load.publishesWithRequests ? load.message.textSize : load.message.size, "byte")) of \(load.message.kind == .text ? "text" : "binary")"
  }

  private var table: String {
    var rows = [head, figures(operationName, perSecond, tally.main)]
    if case .publish = load.work, load.receivers > 0 {
      rows.append(figures("deliveries", perSecond(tally.deliveries.operations), tally.deliveries))
    }
    let widths = head.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { cells in
      let others = zip(cells, widths).dropFirst().map { cell, width in
        String(repeating: " ", count: width - cell.count) + cell
      }
      return row(cells[0], others.joined(separator: "  "))
    }.joined()
  }

  private var hasSizes: Bool { load.work != .connect && load.work != .idle }

  private var head: [String] {
    ["", "per second"] + (hasSizes ? ["MB/s"] : []) + (load.pace == nil ? [] : ["published/s"])
      + Self.percentiles.map(\.name) + ["max"]
  }

  private func figures(_ name: String, _ perSecond: Double, _ count: Tally.Count) -> [String] {
    let times = Self.percentiles.map { Figure.time(nanoseconds: count.latencies.percentile($0.percent)) }
    var figures = [name, Figure.number(perSecond)]
    if hasSizes { figures.append(Figure.number(self.perSecond(count.bytes) / 1e6)) }
    if load.pace != nil { figures.append(Figure.number(publishedPerSecond)) }
    return figures + times + [Figure.time(nanoseconds: count.latencies.longest)]
  }

  private var operationName: String {
    switch load.work {
    case .echo: "messages"
    case .fanOut, .events: "deliveries"
    case .connect, .idle: "handshakes"
    case .publish: "requests"
    }
  }

  private static let nameWidth = 13

  private func row(_ name: String, _ text: String) -> String {
    name + String(repeating: " ", count: Self.nameWidth - name.count) + text + "\n"
  }
}

extension Measurement.Server {
  fileprivate func text(_ work: Load.Work) -> String {
    var text = "\(Figure.fixed(processor, 0)) % of a processor, "
    if let microsecondsPerOperation { text += "\(Figure.number(microsecondsPerOperation)) µs each, " }
    return text + "\(Figure.size(Double(residentBefore))) resident before, "
      + "\(Figure.size(Double(residentAfter))) after: \(Figure.size(bytesPerConnection)) a connection"
  }
}
