package import Bytes
package import Transport

/// What a process keeps of a channel layer, for the process that takes its place.
package struct LayerState: Sendable, Recorded {
  package var alias = ""
  /// What the layer is and where, besides its name: another one of the same name does not go on with it. Empty where that is not known.
  package var place = ""
  /// Makes and reads the addresses of sessions (`AddressCipher.secret`).
  package var secret: [UInt8] = []
  /// The names of the process among those that use the layer: in its groups, for its presence; empty for a layer of one process.
  package var names: [String] = []
  /// The groups that other processes send events for, and this process's member of each, by which they do.
  package var members: [Member] = []
  /// Of the groups whose history this process keeps.
  package var histories: [RecordedGroup.State] = []
  package var presence: [GroupPresence.State] = []
  /// The other groups that the server may still have sessions of this process in, although it has none there any more.
  package var leaving: [String] = []
  /// The records of sessions on each server, in the order of the servers; empty where none are kept.
  package var records: [RecordLots] = []
  /// By reactor.
  package var reactors: [Int: Groups] = [:]
  /// The last number that each reactor has given to a member that has been taken over from another process (`MovedMembers`).
  package var lastSerials: [Int: UInt32] = [:]
  /// Connections with subscriptions, by the number of the server: what is published meanwhile waits in them.
  package var receivers: [Int: HandedSocket] = [:]
  /// What has to be removed where nobody goes on with the layer, or not with all of it.
  package var remains: LayerRemains?

  /// Closes the connections that nobody goes on with.
  package mutating func closeReceivers() {
    for receiver in receivers.values { _ = Descriptor(adopting: receiver.descriptor) }
    receivers = [:]
  }

  /// What one reactor keeps.
  package struct Groups: Sendable, Recorded {
    var reactor = 0
    /// The last number that was given to a member.
    package var lastSerial: UInt32 = 0
    /// How far the events of recorded groups were delivered.
    package var delivered: [String: EventPosition] = [:]
    /// The groups that were listened to although nobody was in them any more, and since when.
    package var idle: [String: MonotonicTime] = [:]

    package init(of reactor: Int) { self.reactor = reactor }

    package init(from record: inout RecordReader) throws(RecordedFault) {
      var group = ""
      while let field = try record.next() {
        switch field.number {
        case 1: reactor = try field.integer(in: 0...Int(UInt16.max))
        case 2: lastSerial = try field.integer()
        case 3: group = try field.text()
        case 4: delivered[group] = try field.record()
        case 5: idle[group] = MonotonicTime(nanoseconds: try field.time())
        default: break
        }
      }
    }

    package func write(to record: inout RecordWriter) {
      record.add(1, reactor)
      record.add(2, UInt64(lastSerial))
      for (group, position) in delivered {
        record.addAlways(3, text: group)
        record.add(4, position)
      }
      for (group, since) in idle {
        record.addAlways(3, text: group)
        record.addAlways(5, since.nanoseconds)
      }
    }
  }

  /// One process is one member of a group.
  package struct Member: Sendable, Recorded {
    package var group = ""
    package var name = ""
    /// The reactors with sessions in it.
    package var reactors: [Int] = []

    package init(of group: String, named name: String, reactors: some Sequence<Int>) {
      (self.group, self.name, self.reactors) = (group, name, Array(reactors))
    }

    package init(from record: inout RecordReader) throws(RecordedFault) {
      while let field = try record.next() {
        switch field.number {
        case 1: group = try field.text()
        case 2: name = try field.text()
        case 3: reactors.append(try field.integer(in: 0...Int(UInt16.max)))
        default: break
        }
      }
    }

    package func write(to record: inout RecordWriter) {
      record.add(1, text: group)
      record.add(2, text: name)
      for reactor in reactors { record.addAlways(3, UInt64(reactor)) }
    }
  }

  package init(alias: String) {
    self.alias = alias
  }

  package init(from record: inout RecordReader) throws(RecordedFault) {
    var (reactor, server) = (0, 0)
    while let field = try record.next() {
      switch field.number {
      case 1: alias = try field.text()
      case 2: secret = try field.bytes()
      case 3: names.append(try field.text())
      case 7: members.append(try field.record())
      case 4: histories.append(try field.record())
      case 5: presence.append(try field.record())
      case 8: records.append(try field.record())
      case 6:
        let groups: Groups = try field.record()
        reactors[groups.reactor] = groups
      case 13: server = try field.integer(in: 0...Int(UInt16.max))
      case 14: receivers[server] = try field.record()
      case 10: reactor = try field.integer(in: 0...Int(UInt16.max))
      case 11: lastSerials[reactor] = try field.integer()
      case 12: place = try field.text()
      case 15: remains = try field.record()
      case 16: leaving.append(try field.text())
      default: break
      }
    }
  }

  package func write(to record: inout RecordWriter) {
    record.add(1, text: alias)
    record.add(12, text: place)
    record.add(2, secret)
    for name in names { record.addAlways(3, text: name) }
    for member in members { record.add(7, member) }
    for history in histories { record.add(4, history) }
    for group in presence { record.add(5, group) }
    for lots in records { record.add(8, lots) }
    for groups in reactors.values { record.add(6, groups) }
    for (server, receiver) in receivers {
      record.addAlways(13, UInt64(server))
      record.add(14, receiver)
    }
    for (reactor, serial) in lastSerials {
      record.addAlways(10, UInt64(reactor))
      record.addAlways(11, UInt64(serial))
    }
    if let remains { record.add(15, remains) }
    for group in leaving { record.addAlways(16, text: group) }
  }
}

/// One worker's part of what its process keeps of a layer.
extension ChannelLayer {
  package func state(of reactor: Int) -> LayerState.Groups {
    var state = LayerState.Groups(of: reactor)
    state.lastSerial = groups.lastSerial
    state.delivered = deliveredPositions
    state.idle = idleGroups
    return state
  }
}
