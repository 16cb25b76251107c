import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { call, client, type Schemas } from "@/api/client";
import { defined } from "@/lib/search";

import type { ProductsSearch } from "./search";

export type Product = Schemas["CatalogueProduct"];
export type ProductPatch = Schemas["ProductPatch"];
export type ProductImport = Schemas["Envelope_ProductImport"]["data"];

const PAGE_SIZE = 50;

export const productsQuery = ({ search, status, sort, page }: ProductsSearch) =>
  queryOptions({
    queryKey: ["products", "list", { search, status, sort, page }],
    queryFn: async ({ signal }) =>
      call(client.GET("/api/v1/products", { params: { query: { limit: PAGE_SIZE, ...defined({ search, status, sort, page }) } }, signal })),
    placeholderData: keepPreviousData,
  });

export const productQuery = (id: string) =>
  queryOptions({
    queryKey: ["products", "one", id],
    queryFn: async ({ signal }) => (await call(client.GET("/api/v1/products/{id}", { params: { path: { id } }, signal }))).data,
  });

export async function changeProduct(id: string, patch: ProductPatch): Promise<Product> {
  return (await call(client.PATCH("/api/v1/products/{id}", { params: { path: { id } }, body: patch }))).data;
}
