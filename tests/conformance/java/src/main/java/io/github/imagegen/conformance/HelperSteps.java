package io.github.imagegen.conformance;

import com.google.protobuf.Duration;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import io.github.imagegen.CallSettings;
import io.github.imagegen.Image;
import io.github.imagegen.ImageEdit;
import io.github.imagegen.ImageEvent;
import io.github.imagegen.ImageGenClient;
import io.github.imagegen.ImageGenException;
import io.github.imagegen.ImageResult;
import io.github.imagegen.ImageStream;
import io.github.imagegen.conformance.v1.Event;
import io.github.imagegen.conformance.v1.Failure;
import io.github.imagegen.conformance.v1.Leave;
import io.github.imagegen.conformance.v1.Outcome;
import io.github.imagegen.conformance.v1.Picture;
import io.github.imagegen.conformance.v1.Step;
import io.github.imagegen.conformance.v1.Violation;
import io.github.imagegen.v1.Billed;
import io.github.imagegen.v1.Delivery;
import io.github.imagegen.v1.EditRequest;
import io.github.imagegen.v1.GenerateRequest;
import io.github.imagegen.v1.GeneratedImage;
import io.github.imagegen.v1.ImageOptions;
import io.github.imagegen.v1.ImageSource;
import io.github.imagegen.v1.OnDisconnect;
import io.github.imagegen.v1.RetryPolicy;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Does a step with the helper, through nothing but its public interface. */
final class HelperSteps {
  private final Step step;
  private final Outcome.Builder outcome = Outcome.newBuilder();

  HelperSteps(Step step) {
    this.step = step;
  }

  static ImageGenClient connect(Step step) throws IOException {
    var builder = ImageGenClient.builder().address(step.getAddress()).token(step.getToken());
    if (!step.getCaFile().isEmpty()) {
      var roots = new File(step.getCaFile());
      builder.tls(TlsChannelCredentials.newBuilder().trustManager(roots).build());
    }
    if (step.getTimeoutMs() != 0) {
      builder.timeout(java.time.Duration.ofMillis(Integer.toUnsignedLong(step.getTimeoutMs())));
    }
    return builder.build();
  }

  Outcome run() throws IOException {
    try (var client = connect(step)) {
      run(client);
    } catch (ImageGenException error) {
      outcome.setFailure(failure(error));
    } catch (IllegalArgumentException | IllegalStateException refused) {
      outcome.setRefused(String.valueOf(refused.getMessage()));
    }
    return outcome.build();
  }

  private void run(ImageGenClient client) throws IOException {
    switch (step.getOperationCase()) {
      case GENERATE -> {
        var asked = step.getGenerate();
        result(client.image(asked.getModel()).generate(prompt(asked), settings(asked)));
      }
      case STREAM -> {
        var asked = step.getStream();
        stream(client.image(asked.getModel()).stream(prompt(asked), settings(asked)));
      }
      case EDIT -> {
        var asked = step.getEdit();
        result(client.image(asked.getModel()).edit(edit(asked), settings(asked)));
      }
      case STREAM_EDIT -> {
        var asked = step.getStreamEdit();
        stream(client.image(asked.getModel()).streamEdit(edit(asked), settings(asked)));
      }
      case RESUME -> stream(client.resume(step.getResume()));
      case CANCEL -> outcome.setStopped(client.cancel(step.getCancel()));
      case READ -> {
        var image = client.read(Image.fromId(step.getRead().getImageId()));
        outcome.setImage(facts(image));
        outcome.addPictures(picture(image));
      }
      case UPLOAD_FILE ->
          outcome.setImage(facts(client.upload(Image.fromPath(Path.of(step.getUploadFile())))));
      case EXPLAIN -> explain(client);
      case LIST_MODELS -> {
        var list = client.models(step.getListModels().getProvider());
        outcome.addAllModels(list.models()).addAllUnreachable(list.unreachable());
      }
      case GET_MODEL -> outcome.addModels(client.model(step.getGetModel().getModel()));
      default -> outcome.setUnsupported("the helper has no " + step.getOperationCase());
    }
  }

  private void explain(ImageGenClient client) {
    var asked = step.getExplain();
    var calls =
        asked.hasEdit()
            ? client
                .image(asked.getEdit().getModel())
                .explain(edit(asked.getEdit()), settings(asked.getEdit()))
            : client
                .image(asked.getGenerate().getModel())
                .explain(prompt(asked.getGenerate()), settings(asked.getGenerate()));
    outcome.getExplainedBuilder().addAllCalls(calls);
  }

  private void stream(ImageStream stream) {
    try (stream) {
      int handedOut = 0;
      boolean leaving = step.hasLeave();
      while (!(leaving && handedOut >= step.getLeave().getAfterEvents()) && stream.hasNext()) {
        handedOut += event(stream.next()) ? 1 : 0;
      }
      if (leaving && handedOut >= step.getLeave().getAfterEvents()) {
        if (step.getLeave().getHow() == Leave.How.HOW_ABORT) {
          stream.abort();
        } else {
          stream.close();
        }
      } else {
        result(stream.result());
      }
    } catch (ImageGenException error) {
      outcome.setFailure(failure(error));
    } finally {
      outcome.setLastSequence((int) stream.lastSequence());
      outcome.setGenerationId(stream.generationId()).setRequestId(stream.requestId());
    }
  }

  private boolean event(ImageEvent event) {
    var told = Event.newBuilder();
    if (event instanceof ImageEvent.Progress) {
      outcome.setProgressEvents(outcome.getProgressEvents() + 1);
      return false;
    } else if (event instanceof ImageEvent.Started started) {
      told.setStarted(started.started());
    } else if (event instanceof ImageEvent.Preview preview) {
      var made =
          GeneratedImage.newBuilder()
              .setIndex(preview.index())
              .setImage(facts(preview.image()))
              .putAllMetadata(preview.metadata())
              .build();
      told.setPreview(
          Pictures.of(made, preview.number(), preview.image())
              .setMade(made.toBuilder().clearIndex()));
    } else if (event instanceof ImageEvent.Complete complete) {
      told.setComplete(Pictures.of(complete.image().toProto(), 0, complete.image()));
    } else if (event instanceof ImageEvent.Failed failed) {
      told.setFailure(failed.failure());
    }
    outcome.addEvents(told);
    return true;
  }

  private void result(ImageResult result) {
    outcome.setResult(Pictures.withoutData(result.toProto()));
    for (var image : result.images()) {
      if (image.hasBytes()) {
        outcome.addPictures(Pictures.of(image.toProto(), 0, image));
      }
    }
  }

  private static Picture picture(Image image) {
    return Pictures.of(GeneratedImage.newBuilder().setImage(facts(image)).build(), 0, image)
        .build();
  }

  /** The facts of an image, from what the helper tells of it. */
  private static io.github.imagegen.v1.Image facts(Image image) {
    var facts =
        io.github.imagegen.v1.Image.newBuilder()
            .setImageId(image.imageId())
            .setMediaType(image.mediaType())
            .setSizeBytes(image.sizeBytes());
    image.width().ifPresent(facts::setWidth);
    image.height().ifPresent(facts::setHeight);
    image
        .expireTime()
        .ifPresent(
            time ->
                facts
                    .getExpireTimeBuilder()
                    .setSeconds(time.getEpochSecond())
                    .setNanos(time.getNano()));
    if (!image.imageId().isEmpty()) {
      facts.setSha256(image.sha256()); // of a preview nobody told one
    }
    return facts.build();
  }

  static Failure failure(ImageGenException error) {
    var failure =
        Failure.newBuilder()
            .setCode(error.code().value())
            .setReason(error.reasonName())
            .setBilled(billed(error.billed()))
            .setMessage(String.valueOf(error.getMessage()))
            .setProvider(error.provider())
            .setModel(error.model())
            .addAllFailures(error.failures())
            .addAllAttempts(error.attempts())
            .putAllMetadata(error.metadata())
            .setGenerationId(error.generationId())
            .setRequestId(error.requestId());
    error
        .retryDelay()
        .ifPresent(
            wait ->
                failure.setRetryDelay(
                    Duration.newBuilder().setSeconds(wait.getSeconds()).setNanos(wait.getNano())));
    error.usage().ifPresent(failure::setUsage);
    for (var violation : error.violations()) {
      failure.addViolations(
          Violation.newBuilder()
              .setField(violation.getField())
              .setDescription(violation.getDescription()));
    }
    return failure.build();
  }

  private static String billed(Billed billed) {
    return switch (billed) {
      case BILLED_NO -> "no";
      case BILLED_YES -> "yes";
      default -> "unknown";
    };
  }

  private static String prompt(GenerateRequest asked) {
    return asked.getInput().getPrompt();
  }

  private static ImageEdit edit(EditRequest asked) {
    var images = new ArrayList<Image>();
    asked.getInput().getImagesList().forEach(source -> images.add(image(source)));
    var edit = ImageEdit.of(asked.getInput().getPrompt(), images);
    return asked.getInput().hasMask() ? edit.withMask(image(asked.getInput().getMask())) : edit;
  }

  private static Image image(ImageSource source) {
    return switch (source.getSourceCase()) {
      case URL -> Image.fromUrl(source.getUrl());
      case IMAGE_ID -> Image.fromId(source.getImageId());
      default -> Image.fromBytes(source.getData(), source.getMediaType());
    };
  }

  CallSettings settings(GenerateRequest asked) {
    return settings(
        asked.getOptions(),
        asked.getParamsMap(),
        asked.getStrict(),
        asked.getDelivery(),
        asked.getRequestId(),
        asked.getOnDisconnect(),
        asked.hasRetry() ? asked.getRetry() : null);
  }

  private CallSettings settings(EditRequest asked) {
    return settings(
        asked.getOptions(),
        asked.getParamsMap(),
        asked.getStrict(),
        asked.getDelivery(),
        asked.getRequestId(),
        asked.getOnDisconnect(),
        asked.hasRetry() ? asked.getRetry() : null);
  }

  private CallSettings settings(
      ImageOptions options,
      Map<String, Struct> params,
      boolean strict,
      Delivery delivery,
      String requestId,
      OnDisconnect onDisconnect,
      RetryPolicy retry) {
    var settings =
        CallSettings.builder()
            .options(options)
            .delivery(delivery.getMode())
            .requestId(requestId)
            .onDisconnect(onDisconnect);
    params.forEach((provider, values) -> settings.params(provider, plain(values)));
    if (strict) {
      settings.strict(true);
    }
    if (step.getResumable()) {
      settings.resumable(true);
    }
    if (retry != null) {
      settings
          .fallbackModels(retry.getFallbackModelsList().toArray(String[]::new))
          .retryAmbiguous(retry.getRetryAmbiguous())
          .fallbackOnContentFiltered(retry.getFallbackOnContentFiltered());
    }
    return settings.build();
  }

  static Map<String, Object> plain(Struct values) {
    var map = new LinkedHashMap<String, Object>();
    values.getFieldsMap().forEach((key, value) -> map.put(key, plain(value)));
    return map;
  }

  private static Object plain(Value value) {
    return switch (value.getKindCase()) {
      case NUMBER_VALUE -> value.getNumberValue();
      case STRING_VALUE -> value.getStringValue();
      case BOOL_VALUE -> value.getBoolValue();
      case STRUCT_VALUE -> plain(value.getStructValue());
      case LIST_VALUE -> {
        List<Object> items = new ArrayList<>();
        value.getListValue().getValuesList().forEach(item -> items.add(plain(item)));
        yield items;
      }
      default -> null;
    };
  }
}
