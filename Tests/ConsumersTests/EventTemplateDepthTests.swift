import ChannelLayers
import JSON
import TestSupport
import Testing

@testable import Consumers
@testable import GatewayConfig

struct EventTemplateDepthTests {
  /// A value in YAML may be nested as deep as this, and so may a value in JSON.
  private static let deepest = 64

  private static func template(_ inner: EventTemplate, _ depth: Int) -> EventTemplate {
    (0..<depth).reduce(inner) { inner, number in
      number % 2 == 0 ? .array([inner]) : .object([.init(key: "a", value: inner)])
    }
  }

  @Test
  func
    `the deepest template of the deepest event is rendered, compared and freed on half of a reactor's stack`()
  {
    let isGood = SmallStack.run { () -> Bool in
      let value = (0..<Self.deepest).reduce(JSON.integer(1)) { inner, _ in .array([inner]) }
      let event = Event(type: "x.y", fields: [.init("a", .json(value))])
      let whole = Self.template(.wholeEvent, Self.deepest)
      let field = Self.template(.field("a"), Self.deepest)
      let text = Self.template(.text(TextTemplate(parts: [.literal("a "), .place("a")])), Self.deepest)
      let constant = Self.template(.constant(value), Self.deepest)
      guard whole == Self.template(.wholeEvent, Self.deepest), whole.hashValue != field.hashValue else {
        return false
      }
      let lengths = [whole, field, text, constant].map {
        $0.rendered(event, for: EventReceiver(address: "x!1"), nil).count
      }
      return [whole, field, text, constant].allSatisfy { !$0.isPersonal }
        && lengths.allSatisfy { $0 > 2 * Self.deepest }
    }
    #expect(isGood == true)
  }
}
