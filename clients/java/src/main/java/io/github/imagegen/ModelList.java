package io.github.imagegen;

import io.github.imagegen.v1.GetModelRequest;
import io.github.imagegen.v1.GetModelResponse;
import io.github.imagegen.v1.ListModelsRequest;
import io.github.imagegen.v1.Model;
import io.github.imagegen.v1.ModelServiceGrpc;
import io.github.imagegen.v1.UnreachableProvider;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * The models that the caller may use.
 *
 * @param models ordered by name
 * @param unreachable providers that could not be asked, so that their models are missing
 */
public record ModelList(List<Model> models, List<UnreachableProvider> unreachable) {
  /**
   * Keeps copies.
   *
   * @param models ordered by name
   * @param unreachable providers that could not be asked
   */
  public ModelList {
    models = List.copyOf(models);
    unreachable = List.copyOf(unreachable);
  }

  /** All pages; {@code limit} is for each of them, null = none. */
  static CompletableFuture<ModelList> all(Connection connection, String provider, Duration limit) {
    var request = ListModelsRequest.newBuilder().setProvider(provider).build();
    return Rpc.chain(chain -> page(chain, connection, request, limit, new ArrayList<>()));
  }

  private static CompletableFuture<ModelList> page(
      Rpc.Chain chain,
      Connection connection,
      ListModelsRequest request,
      Duration limit,
      List<Model> before) {
    return chain
        .call(connection, ModelServiceGrpc.getListModelsMethod(), request, Rpc.deadline(limit))
        .thenCompose(
            page -> {
              before.addAll(page.getModelsList());
              String next = page.getNextPageToken();
              if (next.isEmpty()) {
                return CompletableFuture.completedFuture(
                    new ModelList(before, page.getUnreachableList()));
              } else if (next.equals(request.getPageToken())) {
                throw ImageGenException.invalidResponse("the list of models does not end");
              }
              var rest = request.toBuilder().setPageToken(next).build();
              return page(chain, connection, rest, limit, before);
            });
  }

  /** One model, or the first candidate of an alias. */
  static CompletableFuture<Model> model(Connection connection, String name, Duration limit) {
    var request = GetModelRequest.newBuilder().setModel(name).build();
    var answer =
        Rpc.unary(connection, ModelServiceGrpc.getGetModelMethod(), request, Rpc.deadline(limit));
    return Rpc.map(answer, GetModelResponse::getModel);
  }
}
