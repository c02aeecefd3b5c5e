import Synchronization
import Testing
import Transport

@testable import Gateway

/// A clock that is set by hand, and what the places have done.
private final class Scene: Sendable {
  let time = Mutex(MonotonicTime(nanoseconds: 1_000_000_000))
  let letGo = Mutex<[String]>([])
  let reports = Mutex<[UpstreamPlaces.Shortage]>([])

  func places(_ limit: Int) -> UpstreamPlaces {
    UpstreamPlaces(limit, on: nil, now: { [self] in time.withLock(\.self) }) { [self] shortage in
      reports.withLock { $0.append(shortage) }
    }
  }

  func pass(_ duration: Duration) { time.withLock { $0 = $0 + duration } }

  func take(_ name: String, _ places: UpstreamPlaces) async throws -> UpstreamPlaces.Place {
    try await places.take(within: .seconds(5)) { [self] in letGo.withLock { $0.append(name) } }
  }
}

struct UpstreamPlacesTests {
  private let scene = Scene()

  /// Waits until that many requests are waiting for a place.
  private func waiting(_ count: Int, _ places: UpstreamPlaces) async {
    while places.waiting < count { await Task.yield() }
  }

  @Test func `the client that has taken nothing for longest is let go, and the one who waits has its place`()
    async throws
  {
    let places = scene.places(2)
    let first = try await scene.take("first", places)
    let second = try await scene.take("second", places)
    first.waitsToSend()
    scene.pass(.seconds(1))
    second.waitsToReceive()
    async let third = scene.take("third", places)
    await waiting(1, places)
    places.look()
    #expect(scene.letGo.withLock(\.self) == [])
    scene.pass(.milliseconds(1100))
    places.look()
    places.look()
    #expect(scene.letGo.withLock(\.self) == ["first"])
    #expect(
      scene.reports.withLock(\.self) == [.init(connections: 2, notReading: 1, letGo: 1, refused: 0)])
    first.leave()
    _ = try await third
    second.leave()
  }

  @Test func `nobody is let go whose client takes what there is, and who waits is refused in the end`()
    async throws
  {
    let places = scene.places(1)
    let first = try await scene.take("first", places)
    let second = Task { try await scene.take("second", places) }
    await waiting(1, places)
    scene.pass(.seconds(4))
    first.waitsToSend()
    scene.pass(.milliseconds(500))
    first.hasSent()
    places.look()
    scene.pass(.milliseconds(500))
    places.look()
    await #expect(throws: UpstreamPlaces.AllInUse.self) { _ = try await second.value }
    #expect(scene.letGo.withLock(\.self) == [])
    #expect(
      scene.reports.withLock(\.self) == [.init(connections: 1, notReading: 0, letGo: 0, refused: 1)])
    first.leave()
    _ = try await scene.take("third", places)
  }

  @Test func `a place comes back with its last reference, and goes to who has waited longest`() async throws {
    let places = scene.places(1)
    var first: UpstreamPlaces.Place? = try await scene.take("first", places)
    let second = Task { try await scene.take("second", places) }
    await waiting(1, places)
    let third = Task { try await scene.take("third", places) }
    await waiting(2, places)
    second.cancel()
    await #expect(throws: CancellationError.self) { _ = try await second.value }
    #expect(first != nil)
    first = nil
    _ = try await third.value
    #expect(places.waiting == 0)
  }
}
