package import Bytes
import ChannelLayers
import Transport

/// What one worker has, for the process that takes this one's place. Confined to its reactor, or to whoever reads it.
package struct WorkerState: Recorded {
  package var number = 0
  package var sessions: [SessionState] = []
  var chunks = UnsentChunks()
  /// Its part of each channel layer, by alias.
  var layers: [String: LayerState.Groups] = [:]

  init() {}

  enum Field {
    static let number = 1
    static let session = 2
  }

  package init(from record: inout RecordReader) throws(RecordedFault) {
    var alias = ""
    while let field = try record.next() {
      switch field.number {
      case Field.number: number = try field.integer(in: 0...Int(UInt16.max))
      case Field.session: sessions.append(try field.record())
      case 3: chunks = try field.record()
      case 4: alias = try field.text()
      case 5: layers[alias] = try field.record()
      default: break
      }
    }
    for index in sessions.indices { sessions[index].settle(on: number) }
    guard
      sessions.allSatisfy({
        $0.connection.fits(chunks) && $0.webSocket.upstream?.connection.fits(chunks) != false
      })
    else {
      throw RecordedFault("unsent bytes of a connection are missing")
    }
  }

  /// Of its sessions, with those to their upstreams.
  package var connections: Int { sessions.reduce(0) { $0 + ($1.webSocket.upstream == nil ? 1 : 2) } }

  package func write(to record: inout RecordWriter) {
    record.add(Field.number, number)
    for session in sessions { record.add(Field.session, session) }
    record.add(3, chunks)
    for (alias, groups) in layers {
      record.addAlways(4, text: alias)
      record.add(5, groups)
    }
  }
}
