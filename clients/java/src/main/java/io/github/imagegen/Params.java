package io.github.imagegen;

import com.google.protobuf.ListValue;
import com.google.protobuf.NullValue;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;

/** A provider's own parameters: plain values to {@code google.protobuf.Struct}, without damage. */
final class Params {
  // From here on neighbouring whole numbers share one double.
  private static final double FIRST_INEXACT = 0x1p53;

  private Params() {}

  /** What a request carries for {@code values}; refuses, by its path, what would arrive damaged. */
  static Struct struct(Map<?, ?> values, String path) {
    var struct = Struct.newBuilder();
    for (var entry : values.entrySet()) {
      if (!(entry.getKey() instanceof String key)) {
        throw new IllegalArgumentException(path + " has a key that is not text: " + entry.getKey());
      }
      struct.putFields(key, value(entry.getValue(), path + "." + key));
    }
    return struct.build();
  }

  /** {@code bound} with the keys of {@code given} laid over it, provider by provider. */
  static Map<String, Struct> join(Map<String, Struct> bound, Map<String, Struct> given) {
    if (given.isEmpty()) {
      return bound;
    }
    var joined = new LinkedHashMap<>(bound);
    given.forEach((provider, values) -> joined.merge(provider, values, Params::join));
    return joined;
  }

  static Struct join(Struct bound, Struct given) {
    return bound.toBuilder().putAllFields(given.getFieldsMap()).build();
  }

  private static Value value(Object value, String path) {
    var made = Value.newBuilder();
    if (value == null) {
      return made.setNullValue(NullValue.NULL_VALUE).build();
    } else if (value instanceof String text) {
      return made.setStringValue(text).build();
    } else if (value instanceof Boolean truth) {
      return made.setBoolValue(truth).build();
    } else if (value instanceof Number number) {
      return made.setNumberValue(number(number, path)).build();
    } else if (value instanceof Map<?, ?> map) {
      return made.setStructValue(struct(map, path)).build();
    } else if (value instanceof Collection<?> items) {
      var list = ListValue.newBuilder();
      for (Object item : items) {
        list.addValues(value(item, path + "[" + list.getValuesCount() + "]"));
      }
      return made.setListValue(list).build();
    }
    throw new IllegalArgumentException(
        path + " is not a JSON value: " + value.getClass().getName());
  }

  private static double number(Number number, String path) {
    if (!(number instanceof Double
        || number instanceof Float
        || number instanceof Long
        || number instanceof Integer
        || number instanceof Short
        || number instanceof Byte
        || number instanceof BigInteger
        || number instanceof BigDecimal)) {
      throw new IllegalArgumentException(
          path + " is not a JSON value: " + number.getClass().getName());
    }
    // Rounding does not hide anything: what is too large rounds to the limit or beyond it.
    double value = number.doubleValue();
    if (Double.isNaN(value) || (Double.isInfinite(value) && !(number instanceof BigInteger))) {
      throw new IllegalArgumentException(path + " is " + number + ", which JSON cannot say");
    }
    if (Math.abs(value) >= FIRST_INEXACT) {
      throw new IllegalArgumentException(
          path + " is a number from 2^53 on, which arrives damaged: give it as a string");
    }
    return value;
  }
}
