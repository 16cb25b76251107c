import { useQuery } from "@tanstack/react-query";
import { useDeferredValue, useId, useState } from "react";
import { type UseFormReturn, useWatch } from "react-hook-form";

import { useFormat, useIsOwner } from "@/session/company";
import { useTexts } from "@/texts";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";

import type { OrderValues } from "./form";
import { suggestionsQuery } from "./queries";

interface ItemNameProps {
  form: UseFormReturn<OrderValues>;
  place: number;
  currency: string;
}

/**
 * The name of an item. An owner gets products of the catalogue proposed; a chosen one brings its price. The browser's own
 * list works with a keyboard and a screen reader.
 */
export function ItemName({ form, place, currency }: ItemNameProps) {
  const { orders } = useTexts("orders");
  const format = useFormat();
  const listId = useId();
  const isOwner = useIsOwner();
  const [isActive, setActive] = useState(false);
  const item = useWatch({ control: form.control, name: `items.${place}` });
  const searched = useDeferredValue(item.name.trim());
  const products = useQuery(suggestionsQuery(searched, isOwner && isActive)).data ?? [];
  const chosen = products.find(({ id }) => id === item.product_id);
  const register = form.register(`items.${place}.name`, {
    onChange: (event: { target: { value: string } }) => choose(event.target.value),
  });

  const choose = (name: string) => {
    const product = products.find((one) => one.name === name);
    form.setValue(`items.${place}.product_id`, product?.id ?? "");
    if (product?.currency === currency) {
      form.setValue(`items.${place}.unit_price`, product.price, { shouldDirty: true, shouldValidate: form.formState.isSubmitted });
    }
  };

  return (
    <Field
      className="col-span-3 sm:col-span-1"
      label={orders.name}
      error={form.formState.errors.items?.[place]?.name?.message}
      hint={
        item.product_id === ""
          ? undefined
          : chosen !== undefined && chosen.currency !== currency
            ? orders.catalogueCurrency(chosen.currency)
            : orders.fromCatalogue
      }
    >
      {(control) => (
        <>
          <Input {...control} dir="auto" maxLength={200} autoComplete="off" list={isOwner ? listId : undefined} onFocus={() => setActive(true)} {...register} />
          {isOwner && (
            <datalist id={listId}>
              {products.map((product) => (
                <option key={product.id} value={product.name}>
                  {format.money(product.price, product.currency)}
                </option>
              ))}
            </datalist>
          )}
        </>
      )}
    </Field>
  );
}
