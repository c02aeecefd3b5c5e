import Histogram

/// Times in nanoseconds, in a histogram that keeps three significant digits of each (HdrHistogram).
package struct Latencies: Sendable {
  /// Longer times count as this.
  private static let longest: UInt64 = 3_600_000_000_000

  private var histogram = Histogram<UInt64>(
    lowestDiscernibleValue: 1, highestTrackableValue: longest, numberOfSignificantValueDigits: .three)

  package init() {}

  package var count: UInt64 { histogram.totalCount }
  package var longest: UInt64 { histogram.maxRecorded }

  package mutating func record(_ nanoseconds: UInt64) {
    histogram.record(min(nanoseconds, Self.longest))
  }

  package mutating func add(_ other: Latencies) {
    histogram.add(other.histogram)
  }

  /// The time within which this share of all operations ended; 0 without any.
  ///
  /// - Parameter percent: 0 to 100.
  package func percentile(_ percent: Double) -> UInt64 {
    histogram.valueAtPercentile(percent)
  }
}
