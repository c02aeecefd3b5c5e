package import Bytes
package import GatewayConfig

/// What a process has written into a Redis layer under its names, and how to get there to remove it, once nobody goes on with it.
///
/// It has the passwords of the servers. A record of it is in the memory of the process only.
package struct LayerRemains: Sendable, Recorded, Equatable {
  package var alias = ""
  /// The settings that it was written with.
  package var configuration: RedisLayerConfiguration
  /// The name of the process in groups; empty where its memberships end with its connections.
  package var process = ""
  /// Its name in presence; empty where none was kept.
  package var presence = ""
  /// Its name in the records of sessions; empty where none were kept.
  package var records = ""

  package init(in alias: String, _ configuration: RedisLayerConfiguration) {
    (self.alias, self.configuration) = (alias, configuration)
  }

  package var isEmpty: Bool { process.isEmpty && presence.isEmpty && records.isEmpty }

  /// What is left where something goes on under the names of the other one, at the same place.
  package func without(_ other: LayerRemains?) -> LayerRemains {
    var left = self
    if process == other?.process { left.process = "" }
    if presence == other?.presence { left.presence = "" }
    if records == other?.records { left.records = "" }
    return left
  }

  package init(from record: inout RecordReader) throws(RecordedFault) {
    var settings: RedisLayerConfiguration?
    while let field = try record.next() {
      switch field.number {
      case 1: alias = try field.text()
      case 2: settings = try field.record()
      case 3: process = try field.text()
      case 4: presence = try field.text()
      case 5: records = try field.text()
      default: break
      }
    }
    guard let settings else { throw RecordedFault("what is left of a layer has no place") }
    configuration = settings
  }

  package func write(to record: inout RecordWriter) {
    record.add(1, text: alias)
    record.add(2, configuration)
    record.add(3, text: process)
    record.add(4, text: presence)
    record.add(5, text: records)
  }
}
