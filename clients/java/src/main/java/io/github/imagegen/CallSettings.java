package io.github.imagegen;

import com.google.protobuf.Struct;
import io.github.imagegen.v1.DeliveryMode;
import io.github.imagegen.v1.ImageOptions;
import io.github.imagegen.v1.OnDisconnect;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * What a call may say beside its prompt and images. Immutable; unset means that of the model, else
 * that of the client, else the server's default.
 */
public final class CallSettings {
  private static final CallSettings NONE = new Builder().build();

  final ImageOptions options;
  final Map<String, Struct> params;
  final Boolean strict;
  final DeliveryMode delivery;
  final Duration timeout;
  final Boolean resumable;
  final String requestId;
  final OnDisconnect onDisconnect;
  final List<String> fallbackModels;
  final Boolean retryAmbiguous;
  final Boolean fallbackOnContentFiltered;

  private CallSettings(Builder said) {
    options = said.options;
    params = Map.copyOf(said.params);
    strict = said.strict;
    delivery = said.delivery;
    timeout = said.timeout;
    resumable = said.resumable;
    requestId = said.requestId;
    onDisconnect = said.onDisconnect;
    fallbackModels = said.fallbackModels;
    retryAmbiguous = said.retryAmbiguous;
    fallbackOnContentFiltered = said.fallbackOnContentFiltered;
  }

  /**
   * Nothing said.
   *
   * @return settings of which each is unset
   */
  public static CallSettings none() {
    return NONE;
  }

  /**
   * Begins with nothing said.
   *
   * @return a builder
   */
  public static Builder builder() {
    return new Builder();
  }

  /** These settings with what {@code given} says laid over them. */
  CallSettings with(CallSettings given) {
    if (given == NONE) {
      return this;
    }
    var joined = new Builder();
    joined.options = join(options, given.options);
    joined.params.putAll(Params.join(params, given.params));
    joined.strict = later(strict, given.strict);
    joined.delivery = later(delivery, given.delivery);
    joined.timeout = later(timeout, given.timeout);
    joined.resumable = later(resumable, given.resumable);
    joined.requestId = later(requestId, given.requestId);
    joined.onDisconnect = later(onDisconnect, given.onDisconnect);
    joined.fallbackModels = later(fallbackModels, given.fallbackModels);
    joined.retryAmbiguous = later(retryAmbiguous, given.retryAmbiguous);
    joined.fallbackOnContentFiltered =
        later(fallbackOnContentFiltered, given.fallbackOnContentFiltered);
    return joined.build();
  }

  /** Field by field; a size is one wish. */
  private static ImageOptions join(ImageOptions bound, ImageOptions given) {
    if (given.equals(ImageOptions.getDefaultInstance())) {
      return bound;
    }
    var joined = bound.toBuilder();
    if (given.hasSize()) {
      joined.clearSize();
    }
    return joined.mergeFrom(given).build();
  }

  private static <T> T later(T bound, T given) {
    return given == null ? bound : given;
  }

  /** Collects settings. */
  public static final class Builder {
    private final Map<String, Struct> params = new LinkedHashMap<>();
    private ImageOptions options = ImageOptions.getDefaultInstance();
    private Boolean strict;
    private DeliveryMode delivery;
    private Duration timeout;
    private Boolean resumable;
    private String requestId;
    private OnDisconnect onDisconnect;
    private List<String> fallbackModels;
    private Boolean retryAmbiguous;
    private Boolean fallbackOnContentFiltered;

    private Builder() {}

    /**
     * Portable wishes; a field that is set replaces what was said of it before. What the model does
     * not know comes back as a warning.
     *
     * @param value the wishes
     * @return this
     */
    public Builder options(ImageOptions value) {
      options = join(options, value);
      return this;
    }

    /**
     * Portable wishes, set where they are said: {@code options(o -> o.setCount(2))}.
     *
     * @param change sets fields
     * @return this
     */
    public Builder options(Consumer<ImageOptions.Builder> change) {
      var changed = options.toBuilder();
      change.accept(changed);
      options = changed.build();
      return this;
    }

    /**
     * The width and height of the image, one of the portable wishes.
     *
     * @param width in pixels
     * @param height in pixels
     * @return this
     */
    public Builder size(int width, int height) {
      return options(o -> o.getSizeBuilder().setWidth(width).setHeight(height));
    }

    /**
     * A provider's own parameters, which reach it unmodified. Joined with those said before, key by
     * key.
     *
     * @param provider its name in the server's configuration, or its type
     * @param values JSON values: null, text, numbers, booleans, maps and collections of such
     * @return this
     * @throws IllegalArgumentException a value that is not JSON, or a number that a double cannot
     *     hold (whole numbers from 2^53 in magnitude on, NaN, infinity); the text names the key
     */
    public Builder params(String provider, Map<String, ?> values) {
      params.merge(provider, Params.struct(values, "params." + provider), Params::join);
      return this;
    }

    /**
     * One of a provider's own parameters, as {@link #params}.
     *
     * @param provider its name in the server's configuration, or its type
     * @param key the parameter
     * @param value a JSON value
     * @return this
     * @throws IllegalArgumentException as in {@link #params}
     */
    public Builder param(String provider, String key, Object value) {
      var values = new LinkedHashMap<String, Object>();
      values.put(key, value);
      return params(provider, values);
    }

    /**
     * Whether to refuse, before anything is spent, what would be a warning.
     *
     * @param value unset: no
     * @return this
     */
    public Builder strict(boolean value) {
      strict = value;
      return this;
    }

    /**
     * How the bytes come back.
     *
     * @param value {@code DELIVERY_MODE_INLINE} (unset): with the images; {@code
     *     DELIVERY_MODE_REFERENCE}: images are facts and an id, for {@link ImageGenClient#read}
     * @return this
     */
    public Builder delivery(DeliveryMode value) {
      delivery = value == DeliveryMode.DELIVERY_MODE_UNSPECIFIED ? null : value;
      return this;
    }

    /**
     * How long the call may take.
     *
     * @param value more than nothing; unset: that of the client
     * @return this
     */
    public Builder timeout(Duration value) {
      timeout = checkTimeout(value);
      return this;
    }

    /**
     * Whether a stream that breaks is read on by itself where it broke, also in the middle of an
     * image, over new connections, without buying twice.
     *
     * @param value unset: no
     * @return this
     */
    public Builder resumable(boolean value) {
      resumable = value;
      return this;
    }

    /**
     * Your own id for this wish, best a UUID. The same id and wish again joins the running
     * generation or replays its result. With an id it goes on when its reader goes away.
     *
     * @param value at most 128 visible ASCII characters; empty: unset, one is made where it is
     *     needed
     * @return this
     */
    public Builder requestId(String value) {
      requestId = value.isEmpty() ? null : value;
      return this;
    }

    /**
     * What it means that every reader has gone away.
     *
     * @param value {@code ON_DISCONNECT_CANCEL}: the generation is stopped; {@code
     *     ON_DISCONNECT_DETACH}: it goes on; unset: DETACH with a request id, else CANCEL
     * @return this
     */
    public Builder onDisconnect(OnDisconnect value) {
      onDisconnect = value == OnDisconnect.ON_DISCONNECT_UNSPECIFIED ? null : value;
      return this;
    }

    /**
     * Models tried in this order when the provider fails, while nothing was accepted or shown.
     *
     * @param models as "provider/model"
     * @return this
     */
    public Builder fallbackModels(String... models) {
      fallbackModels = List.of(models);
      return this;
    }

    /**
     * Whether to repeat also an attempt that may have been billed.
     *
     * @param value unset: as the server's configuration says
     * @return this
     */
    public Builder retryAmbiguous(boolean value) {
      retryAmbiguous = value;
      return this;
    }

    /**
     * Whether to try the next model when this one's moderation refuses.
     *
     * @param value unset: no
     * @return this
     */
    public Builder fallbackOnContentFiltered(boolean value) {
      fallbackOnContentFiltered = value;
      return this;
    }

    /**
     * What was said so far.
     *
     * @return the settings
     */
    public CallSettings build() {
      return new CallSettings(this);
    }
  }

  static Duration checkTimeout(Duration value) {
    if (value.isNegative() || value.isZero()) {
      throw new IllegalArgumentException("a timeout is more than nothing, not " + value);
    }
    return value;
  }
}
