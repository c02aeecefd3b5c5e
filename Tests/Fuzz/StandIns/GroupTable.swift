import JSON

/// Stands beside the findings of a report; the harness of the YAML reader makes none.
package struct GroupTable: Sendable {
  var json: JSON { .null }
}
