import ChannelLayers
import GatewayConfig
import JSON
import RedisClient
import Transport

/// Records published events.
extension RedisHistory {
  private static let largestBatch = (count: 256, bytes: 8 << 20)

  private struct Record {
    var request: RecordRequest
    var payload: [UInt8]
    /// The epoch in the mark of another program's event, in the form that Redis stores; empty without a mark.
    var epoch = ""
  }

  /// Records the requested events in batches. New events gather while Redis answers for the last batch.
  func carryRequests() async {
    for await _ in requests.arrivals {
      while case let batch = requests.take(atMost: Self.largestBatch.count, bytes: Self.largestBatch.bytes),
        !batch.isEmpty
      {
        isRecording = true
        await record(batch)
        isRecording = false
      }
    }
  }

  private func record(_ batch: [RecordRequest]) async {
    var byShard: [Int: [Record]] = [:]
    let now = MonotonicTime.now
    for request in batch {
      var epoch = ""
      if request.sender == nil {
        guard let group = groups[request.group] else { continue }
        guard group.isRecorder(at: now) else {
          group.hear(request.event, at: now)
          continue
        }
        if let mark = request.event.recordMark {
          // The copy may have been loaded after the event arrived.
          if group.copy.hasHad(epoch: mark.epoch) { continue }
          epoch = String(mark.epoch, radix: 16)
        }
      }
      do throws(CodecFault) {
        let encoded = try hub.codec.encode(request.event.withoutRecordMark)
        let payload = hub.codec.body(encoded, now: UInt64(MessageClock.now()))
        byShard[shard(of: request.group), default: []].append(
          Record(request: request, payload: payload, epoch: epoch))
      } catch {
        tell(request, .init(undelivered: .notSerializable))
      }
    }
    for (shard, records) in byShard { await record(records, shard) }
  }

  private func record(_ records: [Record], _ shard: Int) async {
    var arguments: [RESPArgument] = [.init(String(RecordedGroup.newEpoch(), radix: 16))]
    for record in records {
      let isForeign = record.request.sender == nil
      arguments += [
        .init(record.request.limits.messages), .init(life(record.request.limits)),
        .init(isForeign ? hub.identity.id : ""),
        .init(String(RecordedGroup.newStamp(isForeign: isForeign))), .init(record.payload),
        .init(record.epoch),
      ]
    }
    do throws(RedisFailure) {
      guard let connection = shards[shard].commands else { throw .notConnected }
      let keys = records.flatMap { [metaKey($0.request.group), streamKey($0.request.group)] }
      let reply = try await HistoryScript.record.run(keys: keys, arguments, on: connection)
      guard case .array(let positions) = reply, positions.count == records.count else {
        throw .unexpectedReply(to: "EVALSHA")
      }
      for (record, position) in zip(records, positions) {
        guard case .error(let message) = position else {
          recorded(record.request, position.text ?? "")
          continue
        }
        let refusal = RedisRefusal(message)
        hub.note("events could not be recorded", "\(record.request.group): \(refusal)")
        if refusal.endsConnection { connection.close() }
        failed(record.request, .refused(refusal))
      }
    } catch {
      hub.note("events could not be recorded", "\(error)")
      for record in records { failed(record.request, error) }
    }
  }

  private func recorded(_ request: RecordRequest, _ position: String) {
    guard let sender = request.sender else {
      // Another process is the recorder now.
      if position.isEmpty, let group = groups[request.group] {
        group.recordsUntil = nil
        group.hear(request.event, at: .now)
      }
      return
    }
    var copy = request.event.withoutRecordMark
    copy.fields.append(.init(Event.recordMark, .json(.string(position))))
    // Who waits for the result gets it from here.
    let session: Sender? = if case .session = sender { sender } else { nil }
    let undelivered = hub.publish(OutgoingEvent(event: copy, group: request.group, sender: session))
    tell(request, Published(position: EventPosition(position), undelivered: undelivered))
  }

  private func failed(_ request: RecordRequest, _ failure: RedisFailure) {
    guard request.sender != nil else {
      groups[request.group]?.hear(request.event, at: .now)
      return
    }
    tell(request, Published(undelivered: failure.isUncertain ? .unconfirmed : .unavailable))
  }

  private func tell(_ request: RecordRequest, _ published: Published) {
    switch request.sender {
    case .outside(let reactor, let ticket): reactors[reactor].post(.published(ticket: ticket, published))
    case .session(let reactor, let member):
      guard let reason = published.undelivered else { return }
      reactors[reactor].post(.undelivered(reason, member))
    case nil: break
    }
  }
}
