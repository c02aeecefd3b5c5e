import ChannelLayers
import GatewayConfig
import Logging
import RedisClient
import Transport

/// Maintains the copies of the histories that reactors use.
extension RedisHistory {
  /// How long a process may record before it has to renew its lease. Several times as long as the interval of `tendGroups`.
  private static let lease = Duration.seconds(5)
  /// How long before its end the lease counts as over in this process.
  private static let leaseMargin = Duration.seconds(1)
  /// How long a group without members is kept. The layer keeps its subscription longer, so that the next recorder has received the
  /// events that this process does not record any more.
  private static let linger = Duration.seconds(3)
  /// The most bytes of one load.
  private static let portion = 1 << 20
  /// The most groups that one script maintains.
  private static let tended = 200

  // MARK: - Interest

  func followChanges() async {
    for await _ in changes.arrivals {
      while case let batch = changes.take(atMost: 1000), !batch.isEmpty, !isStopping {
        var joining: [Int: [String]] = [:]
        for change in batch {
          switch change {
          case .wanted(let name, let reactor):
            if want(name, on: reactor) { joining[shard(of: name), default: []].append(name) }
          case .unwanted(let name, let reactor):
            guard let group = groups[name] else { continue }
            group.reactors.remove(reactor)
            group.waiting.remove(reactor)
            if group.reactors.isEmpty { group.idleSince = .now }
          }
        }
        for (shard, names) in joining { subscribe(names, shard) }
      }
    }
  }

  /// - Returns: whether the group has to be subscribed to.
  private func want(_ name: String, on reactor: Int) -> Bool {
    let shard = shard(of: name)
    // Before the first attempt has ended, groups of a process before are wanted: they are loaded once it has succeeded.
    guard availability[shard] || !shards[shard].outage.isOpen, let limits = history.rules.limits(of: name)
    else {
      reactors[reactor].post(.subscribed(name, .unavailable))
      return false
    }
    let known = groups[name]
    let group = known ?? MirroredGroup(history.acquire(name, limits), shard: shard)
    groups[name] = group
    group.reactors.insert(reactor)
    group.idleSince = nil
    if group.isActive {
      reactors[reactor].post(.subscribed(name, .active))
    } else {
      group.waiting.insert(reactor)
    }
    return known == nil
  }

  func answer(_ group: MirroredGroup, _ outcome: Subscription) {
    let waiting = group.waiting
    group.waiting = []
    for reactor in waiting { reactors[reactor].post(.subscribed(group.name, outcome)) }
  }

  func leaveIdleGroups() async {
    let now = MonotonicTime.now
    let idle = groups.values.filter { group in
      guard let since = group.idleSince, !group.isLoading else { return false }
      return since + Self.linger < now
    }
    for group in idle {
      groups[group.name] = nil
      shards[group.shard].subscriber?.post([RESPCommand("UNSUBSCRIBE", .init(streamKey(group.name)))])
      history.release(group.copy)
    }
    await resign(idle)
  }

  /// Releases the leases of these groups. A lease that is not released ends by itself.
  func resign(_ leaving: [MirroredGroup]) async {
    let recording = leaving.filter { $0.recordsUntil != nil }
    for (shard, groups) in Dictionary(grouping: recording, by: \.shard) {
      guard let connection = shards[shard].commands else { continue }
      do throws(RedisFailure) {
        _ = try await HistoryScript.resign.run(
          keys: groups.map { metaKey($0.name) }, [.init(hub.identity.id)], on: connection)
      } catch {
        hub.log.debug("leases could not be released", metadata: ["reason": "\(error)"])
      }
    }
  }

  // MARK: - Following

  /// Handles an announcement: `EPOCH OFFSET STAMP PAYLOAD`.
  func announced(_ message: RESPValue, _ group: MirroredGroup) {
    guard case .bulkString(let bytes) = message else { return startLoading(group) }
    let parts = bytes.split(separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
    guard parts.count == 4, let stamp = UInt64(String(decoding: parts[2], as: UTF8.self)),
      let position = EventPosition(
        "\(String(decoding: parts[0], as: UTF8.self)).\(String(decoding: parts[1], as: UTF8.self))")
    else { return startLoading(group) }
    let announcement = MirroredGroup.Announcement(position: position, stamp: stamp, payload: Array(parts[3]))
    guard group.isActive, !group.isLoading else { return group.arrive(announcement) }
    if insert(announcement, group) { group.copy.wakeReaders() } else { startLoading(group) }
  }

  /// - Returns: whether the copy has the event now.
  private func insert(_ announcement: MirroredGroup.Announcement, _ group: MirroredGroup) -> Bool {
    let event = decode(.bulkString(announcement.payload))
    switch group.copy.insert(event, at: announcement.position, time: .now, stamp: announcement.stamp) {
    case .inserted, .known: return true
    case .ahead: return false
    case .contradicts:
      begin { [name = group.name, epoch = group.copy.last.epoch] in await $0.renew(name, epoch) }
      return false
    }
  }

  /// Decodes an event. One that cannot be decoded is replaced by an event that keeps its position, so that later events keep theirs.
  private func decode(_ payload: RESPValue) -> Event {
    hub.decode(payload)?.event ?? Event(type: Event.unreadableType)
  }

  // MARK: - Loading

  func startLoading(_ group: MirroredGroup) {
    guard !group.isLoading else {
      group.mustLoadAgain = true
      return
    }
    group.isLoading = true
    begin { [name = group.name] in await $0.load(name) }
  }

  /// Loads the missing events from the stream. After that the copy follows the announcements.
  func load(_ name: String) async {
    guard let group = groups[name] else { return }
    defer { group.isLoading = false }
    do throws(RedisFailure) {
      var isComplete: Bool
      repeat {
        group.mustLoadAgain = false
        guard let connection = shards[group.shard].commands else { throw .notConnected }
        isComplete = try await loadPart(of: group, on: connection)
        guard isComplete else { continue }
        for announcement in group.takeArrived() where !insert(announcement, group) {
          group.mustLoadAgain = true
        }
      } while !isComplete || group.mustLoadAgain
      group.copy.wakeReaders()
      guard shards[group.shard].subscriber != nil else { throw .notConnected }
      group.isActive = true
      answer(group, .active)
      takeOver(group)
    } catch {
      group.isActive = false
      answer(group, .unavailable)
      hub.note("a history could not be loaded", "\(name): \(error)")
      // After a reconnection all groups are loaded again. A load that Redis refused is repeated a second later.
      if error.isUncertain { shards[group.shard].commands?.close() }
    }
  }

  /// - Returns: whether the copy is complete.
  private func loadPart(
    of group: MirroredGroup, on connection: RedisConnection
  ) async throws(RedisFailure) -> Bool {
    let known = group.copy.last
    let sent = MonotonicTime.now
    let reply = try await HistoryScript.load.run(
      keys: [metaKey(group.name), streamKey(group.name)],
      [
        .init(String(RecordedGroup.newEpoch(), radix: 16)), .init(String(known.epoch, radix: 16)),
        .init(String(known.offset)), .init(life(group.copy.limits)), .init(hub.identity.id),
        .init(Int(Self.lease / .milliseconds(1))), .init(Self.portion),
        .init(Int(group.hearingTime(at: sent) / .milliseconds(1))),
      ], on: connection)
    let part = try LoadedHistory(reply)
    noteLease(group, part.isRecorder, sent)
    if part.last.epoch != known.epoch || part.first > known.offset + 1 {
      group.copy.restart(behind: EventPosition(epoch: part.last.epoch, offset: max(part.first, 1) - 1))
    }
    for entry in part.entries { insert(entry, of: part, group) }
    let end = group.copy.last
    guard end.epoch == part.last.epoch, end.offset < part.last.offset else { return true }
    // Without progress, the same part would be read for ever.
    guard part.entries.isEmpty || end != known else { throw .unexpectedReply(to: "EVALSHA") }
    // The events that are missing at the end are also missing in the stream.
    guard !part.entries.isEmpty else {
      group.copy.restart(behind: part.last)
      return true
    }
    return false
  }

  private func insert(_ entry: LoadedHistory.Entry, of part: LoadedHistory, _ group: MirroredGroup) {
    let position = EventPosition(epoch: part.last.epoch, offset: entry.offset)
    let event = decode(entry.payload)
    let insertion = group.copy.insert(
      event, at: position, time: part.localTime(of: entry, at: .now), stamp: entry.stamp)
    guard insertion == .ahead else { return }
    // Events are missing in the stream, so the copy begins after the gap.
    group.copy.restart(behind: EventPosition(epoch: position.epoch, offset: entry.offset - 1))
    _ = group.copy.insert(event, at: position, time: .now, stamp: entry.stamp)
  }

  /// Begins a new epoch: stream and copy have different events at one position, because Redis lost events and used the position
  /// again.
  func renew(_ name: String, _ epoch: UInt32) async {
    guard let group = groups[name], let connection = shards[group.shard].commands else { return }
    do throws(RedisFailure) {
      _ = try await HistoryScript.renew.run(
        keys: [metaKey(name)],
        [.init(String(epoch, radix: 16)), .init(String(RecordedGroup.newEpoch(), radix: 16))],
        on: connection)
      startLoading(group)
    } catch {
      connection.close()
    }
  }

  // MARK: - Maintenance

  private func noteLease(_ group: MirroredGroup, _ isRecorder: Bool, _ sent: MonotonicTime) {
    let wasRecorder = group.recordsUntil != nil
    group.recordsUntil = isRecorder ? sent + (Self.lease - Self.leaseMargin) : nil
    guard isRecorder, !wasRecorder, !group.heard.isEmpty else { return }
    // First the copy needs all events that the previous recorder has recorded.
    group.mustTakeOver = true
    startLoading(group)
  }

  /// Records the events that the previous recorder has not recorded.
  private func takeOver(_ group: MirroredGroup) {
    guard group.mustTakeOver else { return }
    group.mustTakeOver = false
    guard group.isRecorder(at: .now) else { return }
    var lost = 0
    for event in group.takeUnrecorded(at: .now) {
      let request = RecordRequest(event: event, group: group.name, limits: group.copy.limits, sender: nil)
      if !requests.add(request) { lost += 1 }
    }
    guard lost > 0 else { return }
    hub.note(Self.lost, "\(lost) events of \(group.name)")
  }

  func tendGroups(_ shard: Int) async {
    let all = groups.values.filter { $0.shard == shard && $0.isActive }
    for group in groups.values where group.shard == shard {
      group.forgetHeard(at: .now)
      // The last load has failed.
      if !group.isActive { startLoading(group) }
    }
    for part in all.parts(of: Self.tended) {
      guard let connection = shards[shard].commands else { return }
      do throws(RedisFailure) {
        try await tend(Array(part), on: connection)
      } catch {
        hub.note("histories could not be maintained", "\(error)")
        if error.isUncertain { connection.close() }
        return
      }
    }
  }

  private func tend(_ groups: [MirroredGroup], on connection: RedisConnection) async throws(RedisFailure) {
    let known = groups.map(\.copy.last)
    let sent = MonotonicTime.now
    var arguments: [RESPArgument] = [.init(hub.identity.id), .init(Int(Self.lease / .milliseconds(1)))]
    for group in groups {
      arguments += [
        .init(life(group.copy.limits)), .init(group.copy.limits.age.wholeSeconds),
        .init(Int(group.hearingTime(at: sent) / .milliseconds(1))),
      ]
    }
    let reply = try await HistoryScript.tend.run(
      keys: groups.flatMap { [metaKey($0.name), streamKey($0.name)] }, arguments, on: connection)
    guard case .array(let found) = reply, found.count == 3 * groups.count else {
      throw .unexpectedReply(to: "EVALSHA")
    }
    for (index, group) in groups.enumerated() {
      guard case .integer(let last) = found[3 * index + 1] else { continue }
      noteLease(group, found[3 * index + 2] == .integer(1), sent)
      let position = EventPosition("\(found[3 * index].text ?? "").\(last)")
      // The copy lags behind, or its epoch is over. Events that were announced since the request do not count.
      if position?.epoch != known[index].epoch || UInt64(last) < known[index].offset
        || UInt64(last) > group.copy.last.offset
      {
        startLoading(group)
      }
    }
  }
}
