import Bytes
import ChannelLayers
import Transport
package import WebSocketCore

/// What one worker hands over.
package struct WorkerPart: Sendable {
  /// A `WorkerState`, in pieces (`RecordWriter.pieces`).
  package var record: [[UInt8]]
  /// Of all its connections.
  package var descriptors: [Int32]
  /// Sessions and event streams that are in the record.
  package var sessions: Int
  /// Sessions that cannot be handed over now.
  package var left: Int
  /// Those of them that may be so in a moment: they wait for an answer of their view, or for their first token.
  package var waiting: Int
  /// Sessions that have ended and that only this process knows of, as their views were asked about what they had sent until now.
  package var unreportedEnds: Int
}

/// Writes what one worker has, session by session. Nothing is changed by that. Confined to the worker's reactor.
final class WorkerPartWriter {
  // Unowned: the worker lives while its reactor runs.
  private unowned let worker: WorkerSessions
  private var record = RecordWriter()
  private let chunks = UnsentChunks()
  private var descriptors: [Int32] = []
  private var sessions = 0
  private var left = 0
  private var waiting = 0

  init(of worker: WorkerSessions) {
    self.worker = worker
    record.add(WorkerState.Field.number, worker.number)
  }

  func add(_ session: any LiveSession) {
    guard let state = session.handedState(chunks) else {
      left += 1
      if !session.isBound { waiting += 1 }
      return
    }
    descriptors.append(state.connection.descriptor)
    if let upstream = state.webSocket.upstream { descriptors.append(upstream.connection.descriptor) }
    record.add(WorkerState.Field.session, state)
    sessions += 1
  }

  func finish() -> WorkerPart {
    var rest = WorkerState()
    rest.chunks = chunks
    for backend in worker.process.layers.all {
      rest.layers[backend.alias] = worker.layers[backend].layer.state(of: worker.number)
    }
    rest.write(to: &record)
    return WorkerPart(
      record: record.take(), descriptors: descriptors, sessions: sessions, left: left, waiting: waiting,
      unreportedEnds: worker.unreportedEnds)
  }
}

extension WorkerSessions {
  /// What another process needs to go on with all sessions, at once.
  package func handedPart() -> WorkerPart {
    let writer = WorkerPartWriter(of: self)
    for session in live { writer.add(session) }
    return writer.finish()
  }

  /// The same while the sessions go on, a part of them at a time: what the parts say is not of one moment, and a session that has come or
  /// gone meanwhile may be missing. For a trial.
  package func handedPart(_ completed: @escaping (WorkerPart) -> Void) {
    let writer = WorkerPartWriter(of: self)
    visitAll {
      writer.add($0)
    } completed: { _ in
      completed(writer.finish())
    }
  }

  /// Whether nothing is under way between sessions and views, not even of sessions that have ended.
  package var areViewsQuiet: Bool {
    endedViews.isEmpty
      && live.allSatisfy {
        ($0 as? Session)?.view.map { $0.isQuiet || $0.session == nil } ?? true
      }
  }

  fileprivate var unreportedEnds: Int { endedViews.links.count { $0.isNoted && $0.route.keptRecords == nil } }

  /// The sessions that will never be handed over: those with TLS, whose keys cannot leave the process, and those whose other half is
  /// elsewhere.
  package var bound: [any LiveSession] { live.filter(\.isBound) }
  package var boundCount: Int { live.count(where: \.isBound) }

  /// Refuses those that are on their way into such a session.
  package func stopBoundOpenings() {
    for connection in pending.values { connection.stopIfBound() }
  }

  /// Closes the connections that have sent nothing: browsers open them ahead of need, and may never use them.
  package func closeSilent() {
    for connection in pending.values { connection.closeIfSilent() }
  }

  /// Closes the sessions that could not be handed over in time.
  ///
  /// - Parameter plan: when they come back.
  /// - Returns: how many there are.
  package func closeLeft(_ code: CloseCode, by plan: ClosePlan) -> Int {
    let left = live.filter { $0.handedState(UnsentChunks()) == nil }
    for session in left { session.close(.restart(code: code, retry: plan.retry(after: .zero))) }
    return left.count
  }
}
