package io.github.imagegen;

import com.google.protobuf.Struct;
import io.github.imagegen.v1.ExplainRequest;
import io.github.imagegen.v1.ExplainResponse;
import io.github.imagegen.v1.ImageOptions;
import io.github.imagegen.v1.ImageServiceGrpc;
import io.github.imagegen.v1.Model;
import io.github.imagegen.v1.ModelCapabilities;
import io.github.imagegen.v1.PlannedCall;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * A model with settings that hold for all of its calls; made by {@link ImageGenClient#image}. What
 * a call says goes before what the model was bound with: options are joined field by field, params
 * key by key. May be shared by threads.
 *
 * <p>A call throws {@link IllegalArgumentException} for what this client sees to be wrong before
 * anything is sent, and {@link ImageGenException} for anything that fails afterwards.
 */
public final class ImageModel {
  private final Connection connection;
  private final String model;
  private final CallSettings bound;
  private CompletableFuture<ModelCapabilities> capabilities;

  ImageModel(Connection connection, String model, CallSettings bound) {
    this.connection = connection;
    this.model = model;
    this.bound = bound;
  }

  /**
   * The model as it was asked for.
   *
   * @return "provider/model", or an alias of the server's configuration
   */
  public String model() {
    return model;
  }

  /**
   * The provider's own parameters that every call carries.
   *
   * @return by provider
   */
  public Map<String, Struct> params() {
    return bound.params;
  }

  /**
   * The portable wishes that every call carries.
   *
   * @return the options
   */
  public ImageOptions options() {
    return bound.options;
  }

  /**
   * What the model can do. Asked of the server once, then remembered.
   *
   * @return the capabilities; a field that is not set is unknown
   * @throws ImageGenException there is no such model, or the server could not be asked
   */
  public ModelCapabilities capabilities() {
    return Rpc.await(capabilitiesAsync());
  }

  /**
   * As {@link #capabilities}, without waiting.
   *
   * @return the capabilities to come
   */
  public synchronized CompletableFuture<ModelCapabilities> capabilitiesAsync() {
    if (capabilities == null || capabilities.isCompletedExceptionally()) {
      connection.checkOpen();
      capabilities =
          ModelList.model(connection, model, limit(bound)).thenApply(Model::getCapabilities);
    }
    return Rpc.relay(capabilities);
  }

  /**
   * Draws, and waits for the end.
   *
   * @param prompt what the picture shows
   * @return at least one image; see {@link ImageResult#failures} for those that did not come
   * @throws ImageGenException no image came, or this thread was interrupted
   */
  public ImageResult generate(String prompt) {
    return generate(prompt, CallSettings.none());
  }

  /**
   * Draws, and waits for the end.
   *
   * @param prompt what the picture shows
   * @param settings of this call
   * @return at least one image
   * @throws ImageGenException no image came, or this thread was interrupted
   */
  public ImageResult generate(String prompt, CallSettings settings) {
    try (var stream = drawing(prompt, settings, true)) {
      return stream.resultAlone();
    }
  }

  /**
   * As {@link #generate(String)}, without waiting.
   *
   * @param prompt what the picture shows
   * @return the result to come; cancelling this future leaves the generation
   */
  public CompletableFuture<ImageResult> generateAsync(String prompt) {
    return generateAsync(prompt, CallSettings.none());
  }

  /**
   * As {@link #generate(String, CallSettings)}, without waiting.
   *
   * @param prompt what the picture shows
   * @param settings of this call
   * @return the result to come; cancelling this future leaves the generation
   */
  public CompletableFuture<ImageResult> generateAsync(String prompt, CallSettings settings) {
    return drawing(prompt, settings, true).resultAloneAsync();
  }

  /**
   * Draws, and tells and shows how it goes. The generation begins at once.
   *
   * @param prompt what the picture shows
   * @return the stream; close it
   */
  public ImageStream stream(String prompt) {
    return stream(prompt, CallSettings.none());
  }

  /**
   * Draws, and tells and shows how it goes. The generation begins at once.
   *
   * @param prompt what the picture shows
   * @param settings of this call
   * @return the stream; close it
   */
  public ImageStream stream(String prompt, CallSettings settings) {
    return drawing(prompt, settings, false);
  }

  /**
   * Changes a picture, and waits for the end.
   *
   * @param edit what to change in which image
   * @return at least one image
   * @throws ImageGenException no image came, or this thread was interrupted
   */
  public ImageResult edit(ImageEdit edit) {
    return edit(edit, CallSettings.none());
  }

  /**
   * Changes a picture, and waits for the end.
   *
   * @param edit what to change in which image
   * @param settings of this call
   * @return at least one image
   * @throws ImageGenException no image came, or this thread was interrupted
   */
  public ImageResult edit(ImageEdit edit, CallSettings settings) {
    try (var stream = editing(edit, settings, true)) {
      return stream.resultAlone();
    }
  }

  /**
   * As {@link #edit(ImageEdit)}, without waiting.
   *
   * @param edit what to change in which image
   * @return the result to come; cancelling this future leaves the generation
   */
  public CompletableFuture<ImageResult> editAsync(ImageEdit edit) {
    return editAsync(edit, CallSettings.none());
  }

  /**
   * As {@link #edit(ImageEdit, CallSettings)}, without waiting.
   *
   * @param edit what to change in which image
   * @param settings of this call
   * @return the result to come; cancelling this future leaves the generation
   */
  public CompletableFuture<ImageResult> editAsync(ImageEdit edit, CallSettings settings) {
    return editing(edit, settings, true).resultAloneAsync();
  }

  /**
   * Changes a picture, and tells and shows how it goes. The generation begins at once.
   *
   * @param edit what to change in which image
   * @return the stream; close it
   */
  public ImageStream streamEdit(ImageEdit edit) {
    return streamEdit(edit, CallSettings.none());
  }

  /**
   * Changes a picture, and tells and shows how it goes. The generation begins at once.
   *
   * @param edit what to change in which image
   * @param settings of this call
   * @return the stream; close it
   */
  public ImageStream streamEdit(ImageEdit edit, CallSettings settings) {
    return editing(edit, settings, false);
  }

  /**
   * What {@code generate} would do, without doing it and without cost.
   *
   * @param prompt what the picture shows
   * @param settings of this call
   * @return the provider calls in the order in which they would be tried
   * @throws ImageGenException the request would be refused, or the server could not be asked
   */
  public List<PlannedCall> explain(String prompt, CallSettings settings) {
    return Rpc.await(explainAsync(prompt, settings));
  }

  /**
   * What {@code edit} would do, without doing it and without cost.
   *
   * @param edit what to change in which image
   * @param settings of this call
   * @return the provider calls in the order in which they would be tried
   * @throws ImageGenException the request would be refused, or the server could not be asked
   */
  public List<PlannedCall> explain(ImageEdit edit, CallSettings settings) {
    return Rpc.await(explainAsync(edit, settings));
  }

  /**
   * As {@link #explain(String, CallSettings)}, without waiting.
   *
   * @param prompt what the picture shows
   * @param settings of this call
   * @return the calls to come
   */
  public CompletableFuture<List<PlannedCall>> explainAsync(String prompt, CallSettings settings) {
    CallSettings all = bound.with(settings);
    var request = new Wish(model, all).withoutPreviews().plainGenerate(prompt);
    return explain(ExplainRequest.newBuilder().setGenerate(request).build(), limit(all));
  }

  /**
   * As {@link #explain(ImageEdit, CallSettings)}, without waiting.
   *
   * @param edit what to change in which image
   * @param settings of this call
   * @return the calls to come
   */
  public CompletableFuture<List<PlannedCall>> explainAsync(ImageEdit edit, CallSettings settings) {
    CallSettings all = bound.with(settings);
    var request = new Wish(model, all).withoutPreviews().plainEdit(edit);
    return explain(ExplainRequest.newBuilder().setEdit(request).build(), limit(all));
  }

  private CompletableFuture<List<PlannedCall>> explain(ExplainRequest request, Duration limit) {
    connection.checkOpen();
    var answer =
        Rpc.unary(connection, ImageServiceGrpc.getExplainMethod(), request, Rpc.deadline(limit));
    return Rpc.map(answer, ExplainResponse::getCallsList);
  }

  private ImageStream drawing(String prompt, CallSettings settings, boolean endOnly) {
    CallSettings all = bound.with(settings);
    var wish = wish(all, endOnly);
    return begin(new StreamRequest.Generate(wish.generate(prompt)), all, wish);
  }

  private ImageStream editing(ImageEdit edit, CallSettings settings, boolean endOnly) {
    CallSettings all = bound.with(settings);
    var wish = wish(all, endOnly);
    return begin(new StreamRequest.Edit(wish.edit(edit)), all, wish);
  }

  private Wish wish(CallSettings all, boolean endOnly) {
    var wish = new Wish(model, all);
    return endOnly ? wish.withoutPreviews() : wish;
  }

  private ImageStream begin(StreamRequest request, CallSettings all, Wish wish) {
    var generation = new Generation(connection, request, limit(all), wish.lifetime());
    return new ImageStream(generation.begin());
  }

  private Duration limit(CallSettings all) {
    return connection.timeout(all.timeout);
  }
}
